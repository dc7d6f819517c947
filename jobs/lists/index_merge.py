"""Read jobs in the order of their ids, at a cost that depends on the rows asked for and not on the table.

The primary key orders all jobs, and `job_at_rest` those that no bot holds, by status and kind. Held jobs are few and
can be sorted. So jobs of some statuses or of a kind are merged from index ranges, each in order; PostgreSQL merges them
only as far as they are read (docs/decisions/0003-schema.md).
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.db.models import QuerySet

from jobs.models import Job, JobKind, JobQuerySet
from jobs.states import AT_REST, HELD, JobStatus


def ranges(
    jobs: JobQuerySet | None = None, *, statuses: Collection[str] = JobStatus.values, kind: str = ""
) -> list[JobQuerySet]:
    """Return index ranges that cover those of `jobs` (None: all) in these statuses and of this kind (empty: any)."""
    jobs = Job.objects.all() if jobs is None else jobs
    if not kind and set(statuses) >= set(JobStatus.values):
        return [jobs]
    resting = [status for status in statuses if status in AT_REST]
    kinds: Iterable[str] = [kind] if kind else JobKind.objects.order_by().values_list("name", flat=True)
    parts = [jobs.filter(status=status, kind=name) for name in (kinds if resting else ()) for status in resting]
    held = [status for status in statuses if status in HELD]
    if held:
        of_kind = {"kind": kind} if kind else {}
        parts.append(jobs.filter(status__in=held, claimed_by__isnull=False, **of_kind))
    return parts


def ids(parts: Sequence[JobQuerySet], limit: int, *, newest: bool = True) -> list[int]:
    """Return the ids of the first `limit` jobs of all ranges: the newest, or with `newest=False` the oldest."""
    return [row[0] for row in _merged(parts, limit, newest=newest)]


def kinds(parts: Sequence[JobQuerySet], limit: int) -> list[str]:
    """Return the kinds of the newest `limit` jobs."""
    return [row[1] for row in _merged(parts, limit, "kind")]


def nth(parts: Sequence[JobQuerySet], n: int, *, newest: bool = True) -> int | None:
    """Return the id of the `n`-th job; None if there are fewer."""
    return next((row[0] for row in _merged(parts, n, newest=newest)[n - 1 :]), None)


def _merged(parts: Sequence[JobQuerySet], limit: int, *columns: str, newest: bool = True) -> QuerySet[Any]:
    order = "-id" if newest else "id"
    # The order and limit of each range keep it a subquery. PostgreSQL plans it by the index that has it in order, which
    # it would miss if it flattened the subquery.
    rows = [part.order_by(order).values_list("id", *columns)[:limit] for part in parts]
    if not rows:
        return Job.objects.none().values_list("id", *columns)
    return rows[0] if len(rows) == 1 else rows[0].union(*rows[1:], all=True).order_by(order)[:limit]
