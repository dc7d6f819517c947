"""Finished jobs that are older than their kind's `keep_for` go: after each full sweep some, by `manage.py prune` all.

A kind is asked for the end of its oldest job (index `job_finished_of_kind`), so a sweep costs one look for each kind
and what it deletes, whatever else is kept. Nothing goes that the figures have not added up yet
(docs/decisions/0009-sweep-and-pruning.md).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db.models import DateTimeField, DurationField, ExpressionWrapper, F, Value
from django.db.models.functions import Greatest, Least, Now

from jobs import lifecycle
from jobs.models import Job, JobKind
from jobs.stats import rollup

log = structlog.stdlib.get_logger("jobsite.jobs")

#: How many jobs go in one transaction.
BATCH = 1000
#: Whoever keeps jobs for longer keeps them for ever. So far back from now there are moments, for PostgreSQL and Python.
LONGEST = timedelta(days=365_000)


@dataclass(frozen=True)
class Old:
    """A kind that has old jobs: those that ended before `until`."""

    kind: str
    until: datetime

    def count(self) -> int:
        """How many there are now: this reads them all."""
        return Job.objects.finished().filter(kind=self.kind, finished_at__lt=self.until).count()


def old(before: datetime | None = None) -> list[Old]:
    """Kinds with finished jobs older than their `keep_for`, the longest overdue first.

    `before`: only what ended before that, such as `rollup.complete_until` says. Without it what is found may have to
    wait.
    """
    keep = Greatest(Least("keep_for", Value(LONGEST)), Value(timedelta(0)), output_field=DurationField())
    end = ExpressionWrapper(Now() - keep, output_field=DateTimeField())
    until = end if before is None else Least(Value(before), end)
    kinds = JobKind.objects.annotate(until=until, first=rollup.first_end())
    overdue = ExpressionWrapper(F("until") - F("first"), output_field=DurationField())
    rows = kinds.filter(first__lt=F("until")).order_by(overdue.desc(), "name").values_list("name", "until")
    return [Old(*row) for row in rows]


def prune(most: int | None = None) -> int:
    """Delete up to so many old jobs, `PRUNE_MOST` unless told otherwise. Returns how many."""
    left = settings.PRUNE_MOST if most is None else most
    before = rollup.complete_until() if left > 0 else None
    if before is None:
        return 0
    gone: dict[str, int] = {}
    for each in old(before):
        gone[each.kind] = prune_kind(each, most=left - sum(gone.values()))
        if sum(gone.values()) >= left:
            break
    n = sum(gone.values())
    if n:
        log.info(f"pruned {n} jobs", jobs=n, kinds=gone)
    return n


def prune_kind(each: Old, *, most: int | None = None, each_batch: Callable[[int], None] | None = None) -> int:
    """Delete a kind's old jobs, all or the `most` oldest, batch by batch. Returns how many.

    `each_batch` is called after each batch, which is done then, with how many it had; what it raises ends the work.
    """
    gone, since = 0, None
    while most is None or gone < most:
        wanted = BATCH if most is None else min(BATCH, most - gone)
        # On from the last one, so that nothing is read a second time that is gone and still in the index.
        n, since = lifecycle.prune(each.kind, until=each.until, since=since, most=wanted)
        gone += n
        if n and each_batch:
            each_batch(n)
        if n < wanted:
            break
    return gone
