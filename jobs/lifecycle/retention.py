"""Delete jobs: old finished ones, and those that somebody selected."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from bots import audit
from bots.acts import Act
from jobs.lifecycle.statements import run
from jobs.lifecycle.values import By
from jobs.models import Job, JobQuerySet


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


def delete(jobs: JobQuerySet, *, by: By, reason: str, selected: Mapping[str, Any]) -> int:
    """Delete those of these jobs that no bot holds, with their history, late results and references of bots.

    Returns their number. `selected`: by which conditions, for the audit log, which has the ids and nothing else of
    them. Skips locked jobs, which somebody is about to change.
    """
    with transaction.atomic():
        rows = jobs.filter(claimed_by=None).order_by("pk").select_for_update(skip_locked=True, of=("self",))
        ids = list(rows.values_list("id", flat=True))
        if ids:
            run("prune", ids=ids)
            subject = audit.Subject(
                "job", ids[0] if len(ids) == 1 else "", f"{len(ids)} jobs", {}, {"jobs": ids, "filter": selected}
            )
            audit.record(Act.DELETE, [subject], by=by.who, reason=reason)
    return len(ids)
