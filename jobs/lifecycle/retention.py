"""Delete old finished jobs, and instances of bots that are not seen any more."""

from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from bots.instances import KEPT_FOR, Instance
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


@transaction.atomic
def prune_instances(most: int = 1000) -> int:
    """Delete instances that were last seen longer ago than they are kept, and hold no job. Returns how many."""
    holds = Job.objects.filter(claimed_by=OuterRef("bot"), instance=OuterRef("name"))
    old = Instance.objects.exclude(Exists(holds)).filter(last_seen_at__lt=Now() - KEPT_FOR)
    # One that is locked is in use. Nothing is waited for: turns lock several, in an order of their own.
    free = list(old.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)[:most])
    return Instance.objects.filter(pk__in=free).delete()[0]
