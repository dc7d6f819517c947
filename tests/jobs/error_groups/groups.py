"""An error group, as it was counted."""

from django.utils import timezone

from jobs.models import ErrorGroup


def an_error_group() -> ErrorGroup:
    """An error of sum jobs."""
    at = timezone.now()
    counts = {"count": 2, "hours": {}, "bots": {"ada": 2}, "versions": {"4.2.1": 2}}
    words = {"words": "Timeout: no answer in # s", "fingerprint": "c" * 32}
    return ErrorGroup.objects.create(kind="sum", first_at=at, last_at=at, last_job=17, **words, **counts)
