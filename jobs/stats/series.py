"""The figures of the charts: what ended and waited in each stretch of an hour, day or week, and how long jobs ran."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models.functions import Now
from django.utils import timezone

from jobs.models import JobRollup
from jobs.states import Span
from jobs.stats.rollup import WIDTH
from jobs.stats.statements import run
from jobs.stats.times import FINE, HOME
from jobsite.lib import histogram

#: What a window on the console shows: `{name: (span, how many of it)}`.
WINDOWS = {"hour": (Span.MINUTE, 60), "day": (Span.QUARTER, 96), "week": (Span.HOUR, 168)}


@dataclass(frozen=True)
class Bar:
    """What ended in one stretch of time, and waited. Waits and run times are means in seconds; None: there are none."""

    start: datetime
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    wait: float | None = None
    run: float | None = None
    #: The most jobs that were pending, and due, at one count; None when there was no count.
    pending: int | None = None
    due: int | None = None
    #: Until when all is counted; None when nothing is yet.
    until: datetime | None = None

    @property
    def ended(self) -> int:
        return self.succeeded + self.failed + self.cancelled


def series(window: str, kind: str = "", now: datetime | None = None) -> list[Bar]:
    """One bar for each stretch of the last hour, day or week, also for those in which nothing ended."""
    span, bars = WINDOWS[window]
    rows = run(
        "series", span=span, kind=kind, bars=bars, now=now, width=WIDTH[span], zone=settings.TIME_ZONE,
        # Hours of another time zone may have begun at each of their quarters.
        starts=4 if span == Span.HOUR else 1,
    )  # fmt: skip
    return [Bar(**row | {"start": timezone.localtime(row["start"])}) for row in rows]


@dataclass(frozen=True)
class Spread:
    """How jobs of a kind went lately: ends by outcome, mean run time in seconds, and how many took how long."""

    succeeded: int
    failed: int
    cancelled: int
    mean: float | None
    #: `(seconds, count)`: how many took at most so long and longer than the step before; None: longer than the last.
    steps: list[tuple[float | None, int]]

    @property
    def failure_share(self) -> float | None:
        """Failed of succeeded and failed, from 0 to 1."""
        done = self.succeeded + self.failed
        return self.failed / done if done else None

    def within(self, share: float) -> float | None:
        """The step, in seconds, within which this share of the successes ran; None when there are none or longer."""
        need, seen = share * sum(n for _, n in self.steps), 0
        for seconds, n in self.steps:
            seen += n
            if n and seen >= need:
                return seconds
        return None


def spreads(hours: int = 24, kind: str | None = None) -> dict[str, Spread]:
    """For each kind (and "" for all of them): how its jobs went in the last so many hours."""
    rows = JobRollup.objects.filter(span=Span.HOUR, start__gte=Now() - timedelta(hours=hours))
    if kind is not None:
        rows = rows.filter(kind__in=["", kind])
    by_kind: dict[str, list[JobRollup]] = {}
    for row in rows.only("kind", "succeeded", "failed", "cancelled", "ran", "run_times"):
        by_kind.setdefault(row.kind, []).append(row)
    found = {name: _spread(group) for name, group in by_kind.items()}
    # Where leases ended and no job, there is nothing to show.
    return {name: spread for name, spread in found.items() if spread.succeeded + spread.failed + spread.cancelled}


def _spread(rows: Sequence[JobRollup]) -> Spread:
    succeeded = sum(row.succeeded for row in rows)
    runs = histogram.added(row.run_times for row in rows)
    steps: tuple[float | None, ...] = (*HOME.edges, None)
    return Spread(
        succeeded=succeeded,
        failed=sum(row.failed for row in rows),
        cancelled=sum(row.cancelled for row in rows),
        mean=sum(row.ran for row in rows) / succeeded if succeeded else None,
        steps=list(zip(steps, FINE.regroup(runs, HOME), strict=True)),
    )
