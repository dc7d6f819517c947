"""An error group, as it was counted."""

from hashlib import md5

from django.utils import timezone

from jobs.models import ErrorGroup

WORDS = "it broke"


def an_error_group() -> ErrorGroup:
    """The group of sum jobs that fail as `tests.cast.Lease.fail` has it."""
    at = timezone.now()
    fingerprint = md5(WORDS.encode(), usedforsecurity=False).hexdigest()
    counts = {"count": 2, "hours": {}, "bots": {"ada": 2}, "versions": {"4.2.1": 2}}
    return ErrorGroup.objects.create(
        kind="sum", words=WORDS, fingerprint=fingerprint, first_at=at, last_at=at, last_job=17, **counts
    )
