"""Read jobs in the order of their ids, at a cost that depends on the rows asked for and not on the table.

The primary key orders all jobs, and `job_at_rest` those that no bot holds, by status and kind. Held jobs are few and
can be sorted. So jobs of some statuses or kinds are merged from ranges of indexes, each in order, in one statement that
is the same for any number of kinds (docs/decisions/0003-schema.md).
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from django.db.models import BooleanField, Q, QuerySet
from django.db.models.expressions import RawSQL

from jobs.models import Job, JobQuerySet
from jobs.states import AT_REST, HELD, JobStatus
from jobsite.lib import source
from jobsite.lib.params import MAX_ID
from jobsite.lib.sql import Statements

#: The condition of `job_at_rest`: PostgreSQL uses the index where it stands.
_AT_REST = "status IN ({})".format(", ".join(f"'{status}'" for status in AT_REST))
SQL = Statements(Path(__file__).parent / "sql", at_rest=f"j.{_AT_REST}")
#: The first stretch of ids that is read has as many as rows are wanted, and at least this number.
WIDTH = 100
#: Which jobs of a stretch are read (by_kind.sql).
_IN_STRETCH = RawSQL(  # noqa: S611  no part of it comes from a caller
    f"""jobs_job.{_AT_REST} AND jobs_job.status = head.status AND jobs_job.kind_id = head.name
        AND jobs_job.id BETWEEN stretch.low AND stretch.high""",
    [],
    output_field=BooleanField(),
)
_EVERY_KIND, _THESE_KINDS = "jobs_jobkind AS kind", "unnest(%(kinds)s::text[]) AS kind(name)"


@dataclass(frozen=True)
class Selection:
    """Jobs with ids between two, in some statuses, of some kinds (none: of any), that meet further conditions."""

    jobs: JobQuerySet
    statuses: tuple[str, ...]
    kinds: tuple[str, ...]
    after: int = 0
    before: int = MAX_ID
    own_order: bool = False

    def in_own_order(self) -> "Selection":
        """The same, where an index of their own has just these jobs in the order of ids."""
        return replace(self, own_order=True)

    def where(self, condition: Q) -> "Selection":
        """Those of them that meet this condition, too."""
        return replace(self, jobs=self.jobs.filter(condition))

    def between(self, *, after: int | None = None, before: int | None = None) -> "Selection":
        """Those of them with ids above `after` and below `before`."""
        return replace(
            self,
            after=self.after if after is None else max(self.after, after),
            before=self.before if before is None else min(self.before, before),
        )


def select(
    jobs: JobQuerySet | None = None, *, statuses: Collection[str] = JobStatus.values, kinds: Collection[str] = ()
) -> Selection:
    """Select those of `jobs` (None: all) in these statuses and of these kinds (none: any)."""
    jobs = Job.objects.all() if jobs is None else jobs
    return Selection(jobs, tuple(map(str, statuses)), tuple(kinds))


def ids(selection: Selection, limit: int, *, newest: bool = True) -> list[int]:
    """Return the ids of the first `limit` jobs: the newest, or with `newest=False` the oldest."""
    return [row[0] for row in _first(selection, limit, newest=newest)]


def ids_and_kinds(selection: Selection, limit: int) -> list[tuple[int, str]]:
    """Return the ids of the newest `limit` jobs with their kinds."""
    return _first(selection, limit)


def nth(selection: Selection, n: int, *, newest: bool = True) -> int | None:
    """Return the id of the `n`-th job; None if there are fewer."""
    return next((row[0] for row in _first(selection, n, newest=newest)[n - 1 :]), None)


def _first(selection: Selection, limit: int, *, newest: bool = True) -> list[tuple[int, str]]:
    order = "-id" if newest else "id"
    if selection.own_order:
        jobs = _plain(selection).filter(status__in=selection.statuses)
        jobs = jobs.filter(kind__in=selection.kinds) if selection.kinds else jobs
        return list(jobs.order_by(order).values_list("id", "kind_id")[:limit])
    if not selection.kinds and set(selection.statuses) >= set(JobStatus.values):
        return list(_plain(selection).order_by(order).values_list("id", "kind_id")[:limit])
    resting = [status for status in selection.statuses if status in AT_REST]
    held = [status for status in selection.statuses if status in HELD]
    parts: list[str] = []
    params: dict[str, Any] = {}
    if resting:
        text, params = _resting(selection, resting, limit, newest)
        parts.append(text)
    if held:
        jobs = _plain(selection).filter(status__in=held, claimed_by__isnull=False)
        jobs = jobs.filter(kind__in=selection.kinds) if selection.kinds else jobs
        parts.append(_text(jobs.order_by(order).values_list("id", "kind_id")[:limit]))
    if not parts:
        return []
    # One statement, which sees each job in one status: between two of them it could be claimed, and be in neither.
    text = parts[0] if len(parts) == 1 else " UNION ALL ".join(f"({part})" for part in parts)
    with source.connection().cursor() as cursor:
        cursor.execute(text, params)
        return sorted(cursor.fetchall(), reverse=newest)[:limit]


def _plain(selection: Selection) -> JobQuerySet:
    bounds = {"pk__gt": selection.after} if selection.after > 0 else {}
    bounds |= {"pk__lt": selection.before} if selection.before < MAX_ID else {}
    return selection.jobs.filter(**bounds)


def _text(jobs: QuerySet[Any]) -> str:
    """The query with its values in it, as a part of a statement that has parameters of its own."""
    operations: Any = source.connection().ops
    text: str = operations.compose_sql(*jobs.query.sql_with_params())
    return text.replace("%", "%%")


def _resting(selection: Selection, statuses: list[str], limit: int, newest: bool) -> tuple[str, dict[str, Any]]:
    jobs = selection.jobs.filter(_IN_STRETCH).order_by("-id" if newest else "id").values_list("id", "kind_id")[:limit]
    text = SQL.text(
        "by_kind",
        jobs="{jobs}",
        kinds=_THESE_KINDS if selection.kinds else _EVERY_KIND,
        order="DESC" if newest else "ASC",
    )
    params: dict[str, Any] = {
        "after": selection.after, "before": selection.before, "newest": newest, "statuses": statuses, "most": limit,
        "kinds": list(selection.kinds), "width": max(limit, WIDTH),
    }  # fmt: skip
    return text.replace("{jobs}", _text(jobs)), params
