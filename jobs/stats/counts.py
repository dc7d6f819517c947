"""How many: the counters of `/metrics`, which only rise, and counts of what there is now, which stop at a limit.

What exists is never counted as a whole while somebody waits. Beyond a limit the planner's own statistics give a figure
that is shown as "about", and `/metrics` has the sweep's last count.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from django.conf import settings

from jobs.models import JobKind, JobRollup, RollupState
from jobs.states import JobStatus, Span
from jobs.stats.statements import run

#: How far jobs are counted one by one.
COUNTED = 5000
#: How many priorities of a kind are looked through for its oldest job.
PRIORITIES = 200
#: The kind that stands for all that have no counters of their own. No kind can be called so (`names.KIND_PATTERN`).
OTHER = "_other"
#: How far pending jobs of a kind are counted while Prometheus waits. Beyond it the sweep's last count is given.
COUNTED_LIVE = 2000
#: How far due jobs of a kind are counted for those who start bots.
DUE = 10_000
#: The sweep counts all pending jobs at most so often …
COUNT_EVERY = timedelta(seconds=50)
#: … and spends at most one part in so many of its time on it.
COUNT_SHARE = 100
#: Where totals start.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


# --- Counters -----------------------------------------------------------------------------------------------------


def label_kinds() -> list[str]:
    """The kinds with counters of their own: the first so many that there were. One that has some keeps them."""
    own = set(JobRollup.objects.filter(span=Span.TOTAL).exclude(kind=OTHER).values_list("kind", flat=True))
    room = settings.METRICS_KINDS - len(own)
    if room > 0:
        new = JobKind.objects.exclude(name__in=own).order_by("created_at", "name").values_list("name", flat=True)
        names = list(new[:room])
        JobRollup.objects.bulk_create(
            [JobRollup(span=Span.TOTAL, start=EPOCH, kind=name) for name in names], ignore_conflicts=True
        )
        own |= set(names)
    return sorted(own)


def refresh(labels: list[str], since: datetime, now: datetime) -> None:
    """Count the leases that were given, and the pending jobs. `since`: until when the rollup has what ended."""
    run("count_claims", since=since, until="infinity", labels=labels, other=OTHER)
    _count_pending(labels, now)


def _count_pending(labels: list[str], now: datetime) -> None:
    """Count all pending jobs by kind, for /metrics and charts, when the last count is old enough for what it cost."""
    state = RollupState.objects.get()
    pause = max(COUNT_EVERY, timedelta(seconds=state.pending_took * COUNT_SHARE))
    if state.pending_at is not None and now - state.pending_at < pause:
        return
    began = monotonic()
    rows = run("count_pending", labels=labels, other=OTHER, now=now, zone=settings.TIME_ZONE)
    pending = {row["kind"]: row["n"] for row in rows}
    RollupState.objects.update(pending=pending, pending_at=now, pending_took=monotonic() - began)


def totals() -> dict[str, JobRollup]:
    """What has ended since the counters began, by the kind as `/metrics` has it."""
    return {row.kind: row for row in JobRollup.objects.filter(span=Span.TOTAL)}


def live(labels: list[str]) -> dict[tuple[str, str], int]:
    """How many jobs are pending, claimed and processing, by kind and status.

    The sweep's counts of pending jobs stand for kinds with more than `COUNTED_LIVE`, and for `OTHER`.
    """
    rows = run("live", own=labels, other=OTHER, most=COUNTED_LIVE)
    found = {(row["kind"], row["status"]): row["n"] for row in rows}
    pending: dict[str, int] = RollupState.objects.values_list("pending", flat=True).first() or {}
    for kind in (*labels, OTHER):
        key = (kind, str(JobStatus.PENDING))
        if kind == OTHER or found[key] > COUNTED_LIVE:
            found[key] = max(found.get(key, 0), pending.get(kind, 0))
    return found


@dataclass(frozen=True)
class Workload:
    """How many jobs of a kind there are for bots. `due` is counted as far as `DUE`; `max_held` is its limit, if any."""

    kind: str
    due: int = 0
    held: int = 0
    max_held: int | None = None

    @property
    def jobs(self) -> int:
        """How many could be held now: those that are, and due ones as far as the kind's limit allows."""
        possible = self.held + self.due
        return possible if self.max_held is None else max(self.held, min(possible, self.max_held))


def workloads(kinds: Collection[str]) -> list[Workload]:
    """The workloads of these kinds, by name. A kind that has never had a job has none."""
    rows = {row["kind"]: Workload(**row) for row in run("scale", kinds=list(kinds), steps=PRIORITIES, most=DUE)}
    return [rows.get(kind, Workload(kind)) for kind in sorted(set(kinds))]


# --- Counts that stop ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Count:
    """How many. `about`: counting stopped, and the figure is a guess that is never below what was counted.

    `at_least`: counting stopped, and the figure is what was counted.
    """

    n: int
    about: bool = False
    at_least: bool = False

    def __str__(self) -> str:
        figure = f"{self.n:,}".replace(",", "\u202f")
        return f"about {figure}" if self.about else f"at least {figure}" if self.at_least else figure

    def __add__(self, other: "Count") -> "Count":
        return Count(self.n + other.n, self.about or other.about, self.at_least or other.at_least)


def counted(n: int, guess: int) -> Count:
    """A count that stopped beyond `COUNTED` as a figure for people."""
    if n <= COUNTED:
        return Count(n)
    rough = max(n - 1, guess)
    step = 10 ** max(0, len(str(rough)) - 2)
    return Count(rough // step * step, about=True)


def by_status() -> tuple[dict[str, Count], Count]:
    """How many jobs are in each status, and how many were released by operators today, in one query."""
    rows = {row["status"]: row for row in run("statuses", most=COUNTED, zone=settings.TIME_ZONE)}
    counts = {str(status): counted(rows[status]["counted"], rows[status]["guess"]) for status in JobStatus.values}
    return counts, counted(rows[JobStatus.PENDING]["releases"], 0)


def oldest_pending(kinds: Collection[str] | None = None) -> list[dict[str, Any]]:
    """For each kind with a due job the one due for longest: `{kind, id, due_since, age, paused, closed}`, by age.

    Of these kinds; None: of all.
    """
    rows = run("oldest", steps=PRIORITIES, kinds=None if kinds is None else list(kinds))
    return sorted(rows, key=lambda row: row["due_since"])
