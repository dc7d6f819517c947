"""Delete finished jobs older than their kind's `keep_for`: some after each full sweep, all by `manage.py prune`.

The end of each kind's oldest job is read from the index `job_finished_of_kind`, so a sweep costs one read for each kind
and what it deletes, whatever else is kept. A job is deleted only after it has been included in the statistics
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

#: How many jobs are deleted in one transaction.
BATCH_SIZE = 1000
#: A longer `keep_for` means for ever. PostgreSQL and Python can represent a time this long ago.
MAX_KEEP_FOR = timedelta(days=365_000)


@dataclass(frozen=True)
class Old:
    """A kind with old jobs: those that ended before `until`."""

    kind: str
    until: datetime

    def count(self) -> int:
        """Count them now. Reads all of them."""
        return Job.objects.finished().filter(kind=self.kind, finished_at__lt=self.until).count()


def old(before: datetime | None = None) -> list[Old]:
    """List kinds with finished jobs older than their `keep_for`, the longest overdue first.

    `before`: only what ended before that, such as `rollup.complete_until` says. Without it what is found may have to
    wait.
    """
    keep = Greatest(Least("keep_for", Value(MAX_KEEP_FOR)), Value(timedelta(0)), output_field=DurationField())
    end = ExpressionWrapper(Now() - keep, output_field=DateTimeField())
    until = end if before is None else Least(Value(before), end)
    kinds = JobKind.objects.annotate(until=until, first=rollup.first_end())
    overdue = ExpressionWrapper(F("until") - F("first"), output_field=DurationField())
    rows = kinds.filter(first__lt=F("until")).order_by(overdue.desc(), "name").values_list("name", "until")
    return [Old(*row) for row in rows]


def prune(most: int | None = None) -> int:
    """Delete up to `most` old jobs, by default `PRUNE_MOST`. Returns their number."""
    left = settings.PRUNE_MOST if most is None else most
    before = rollup.complete_until() if left > 0 else None
    if before is None:
        return 0
    deleted: dict[str, int] = {}
    for each in old(before):
        deleted[each.kind] = prune_kind(each, most=left - sum(deleted.values()))
        if sum(deleted.values()) >= left:
            break
    n = sum(deleted.values())
    if n:
        log.info(f"pruned {n} jobs", jobs=n, kinds=deleted)
    return n


def prune_kind(each: Old, *, most: int | None = None, each_batch: Callable[[int], None] | None = None) -> int:
    """Delete a kind's old jobs, all or the `most` oldest, in batches. Returns their number.

    `each_batch` is called with the number of each batch after its commit; what it raises ends the deletion.
    """
    deleted, since = 0, None
    while most is None or deleted < most:
        batch_size = BATCH_SIZE if most is None else min(BATCH_SIZE, most - deleted)
        # From the last one on: index entries of deleted jobs are not read a second time.
        n, since = lifecycle.prune(each.kind, until=each.until, since=since, most=batch_size)
        deleted += n
        if n and each_batch:
            each_batch(n)
        if n < batch_size:
            break
    return deleted
