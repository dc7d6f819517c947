"""Jobs in the order of their ids, at a cost that what is asked for sets and not what exists.

The primary key has all jobs in that order, and `job_at_rest` those that nobody holds, by status and kind. What is held
is little, and sorted. So jobs of some statuses or of a kind are put together from stretches, each in order in an index,
which PostgreSQL merges as far as somebody reads (docs/decisions/0003-schema.md).
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.db.models import QuerySet

from jobs.models import Job, JobKind, JobQuerySet
from jobs.states import AT_REST, HELD, JobStatus


def of(
    jobs: JobQuerySet | None = None, *, statuses: Collection[str] = JobStatus.values, kind: str = ""
) -> list[JobQuerySet]:
    """Those of `jobs` (None: of all) in these statuses and of this kind (""; of any)."""
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


def ids(parts: Sequence[JobQuerySet], most: int, *, newest: bool = True) -> list[int]:
    """The ids of the first so many jobs of all stretches: the newest, or with `newest=False` the oldest."""
    return [row[0] for row in _merged(parts, most, newest=newest)]


def kinds(parts: Sequence[JobQuerySet], most: int) -> list[str]:
    """The kinds of the newest so many jobs."""
    return [row[1] for row in _merged(parts, most, "kind")]


def nth(parts: Sequence[JobQuerySet], n: int, *, newest: bool = True) -> int | None:
    """The id of the last of the first `n` jobs; None when there are fewer."""
    return next((row[0] for row in _merged(parts, n, newest=newest)[n - 1 :]), None)


def _merged(parts: Sequence[JobQuerySet], most: int, *columns: str, newest: bool = True) -> QuerySet[Any]:
    order = "-id" if newest else "id"
    # The order and the limit of each stretch keep it a query of its own: PostgreSQL plans those by the index that has
    # them in order, and would not see that of a stretch which it takes apart.
    rows = [part.order_by(order).values_list("id", *columns)[:most] for part in parts]
    if not rows:
        return Job.objects.none().values_list("id", *columns)
    return rows[0] if len(rows) == 1 else rows[0].union(*rows[1:], all=True).order_by(order)[:most]
