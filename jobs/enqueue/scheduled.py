"""Insert the job of a schedule's moment with the moment itself, in one statement."""

from collections import Counter
from datetime import datetime

from django.conf import settings

from jobs.enqueue import pending
from jobs.enqueue.statements import SQL
from jobs.errors import TooManyPending
from jobs.lifecycle import gates
from jobsite.lib.db import fetch


def enqueue_scheduled(schedule: int, version: str, kind: str, next_at: datetime | None) -> bool:
    """Add the job of a schedule's moment with its occurrence and the next moment: one statement, its own transaction.

    Returns whether it was that simple. The caller announces the job.
    """
    bounds = {pending.ALL: settings.MAX_PENDING} if settings.MAX_PENDING else {}
    try:
        pending.figures.admit(bounds, Counter([kind]))
    except TooManyPending:
        return False
    text, names = SQL.numbered("enqueue_scheduled")
    params = {"schedule": schedule, "version": version, "next_at": next_at}
    rows = fetch(text, [params[name] for name in names])
    if not rows:
        pending.figures.add(bounds, Counter({kind: -1}))
    gates.open_added([(kind, group) for gated, group in rows if gated])
    return bool(rows)
