"""Insert the jobs of schedules' moments with the moments themselves, in one statement."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from django.conf import settings

from jobs.enqueue import pending
from jobs.enqueue.statements import SQL
from jobs.errors import TooManyPending
from jobs.lifecycle import gates
from jobsite.lib.db import fetch


class DueMoment(NamedTuple):
    """A schedule with one moment that is due, as it was read (`version`), and the moment after it."""

    schedule: int
    version: str
    kind: str
    next_at: datetime | None


def enqueue_scheduled(due: Sequence[DueMoment]) -> dict[int, bool]:
    """Add the jobs of these moments with their occurrences and the next moments: one statement, its own transaction.

    Returns for each schedule whether it was that simple; those that are locked, or changed since, are left out. The
    caller announces the jobs.
    """
    bounds = {pending.ALL: settings.MAX_PENDING} if settings.MAX_PENDING else {}
    try:
        pending.figures.admit(bounds, Counter(moment.kind for moment in due))
    except TooManyPending:
        return {moment.schedule: False for moment in due}
    text, names = SQL.numbered("enqueue_scheduled")
    params = {
        "schedules": [moment.schedule for moment in due],
        "versions": [moment.version for moment in due],
        "following": [moment.next_at for moment in due],
    }
    rows = fetch(text, [params[name] for name in names])
    fired: dict[int, bool] = {schedule: done for schedule, done, _, _ in rows}
    gates.open_added({(kind, group) for _, _, kind, group in rows if kind is not None})
    refused = Counter(moment.kind for moment in due if not fired.get(moment.schedule))
    pending.figures.add(bounds, Counter({kind: -n for kind, n in refused.items()}))
    return fired
