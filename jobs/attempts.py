"""Split the number of an attempt: the epoch of the database in which it was given, and the count that people see.

`attempt` is `epoch * EPOCH + n`. All of it is the fencing token, so a number from before a restore never comes again.
`attempt_number.sql` and `attempt_opened.sql` of the lifecycle are the same in SQL.
"""

from django.db.models import F
from django.db.models.expressions import CombinedExpression

#: How many attempts of one job an epoch has room for.
EPOCH = 1_000_000
#: The last epoch whose numbers fit into the column, an `integer`.
LAST_EPOCH = (2**31 - 1) // EPOCH - 1


def number(attempt: int) -> int:
    """Which attempt of its job it is, from 1."""
    return attempt % EPOCH


def used() -> CombinedExpression:
    """How many of its attempts a job has used, for the ORM: released ones do not count."""
    return F("attempt") % EPOCH - F("uncounted")


class Numbered:
    """A row with an attempt."""

    attempt: int

    @property
    def attempt_number(self) -> int:
        """Which attempt of its job it is, from 1."""
        return number(self.attempt)
