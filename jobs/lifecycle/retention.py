"""Delete old finished jobs."""

from datetime import datetime

from django.db import transaction

from jobs.lifecycle.statements import run
from jobs.models import Job


def prune(kind: str, *, until: datetime, since: datetime | None = None, most: int) -> tuple[int, datetime | None]:
    """Delete the oldest finished jobs of a kind with their history: at most `most`, which ended before `until`.

    Returns their number, and when the last of them ended: `since` of the next call. Skips locked jobs. See
    `jobs.sweep.retention` for what must have been done before.
    """
    old = Job.objects.finished().filter(kind=kind, finished_at__lt=until).order_by("finished_at")
    if since is not None:
        old = old.filter(finished_at__gte=since)
    with transaction.atomic():
        # Locked in a statement of its own, and not `NO KEY`: from here on nobody can add to their history.
        rows = list(old.select_for_update(skip_locked=True).values_list("id", "finished_at")[:most])
        if rows:
            run("prune", ids=[job_id for job_id, _ in rows])
    return len(rows), rows[-1][1] if rows else None
