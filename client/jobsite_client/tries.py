"""Which try of its job an attempt is. Pure."""

# The number of an attempt is the epoch of the database times this, and which try it is.
EPOCH = 1_000_000


def which_try(attempt: int) -> int:
    """From 1; 0 for a job that no bot has had."""
    return attempt % EPOCH
