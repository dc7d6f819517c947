"""How each kind has gone lately: ends by the minute, and run and wait times now, a week ago and between."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet, Value
from django.utils import timezone

from jobs.models import JobRollup
from jobs.states import Span
from jobs.stats import rollup
from jobs.stats.statements import run
from jobs.stats.times import FINE, HOME
from jobsite.lib import histogram

#: Minutes of a sparkline, and how many of them are one of its bars.
MINUTES, BAR = 60, 3
#: Run times are those of the present hour and so many before it, and of as many hours around that time a week ago.
HOURS, WEEK = 2, timedelta(days=7)


def longest_of(counted: Counter[int], share: float) -> float | None:
    """The time, in seconds, within which this share stayed, known to the next edge; None where nothing is counted."""
    need, seen = share * counted.total(), 0
    for bucket in sorted(counted):
        seen += counted[bucket]
        if seen >= need:
            return FINE.edges[min(bucket, len(FINE.edges) - 1)]
    return None


@dataclass(frozen=True)
class Percentiles:
    """The times, in seconds, within which half and 95 of a hundred stayed; None where nothing is counted."""

    p50: float | None = None
    p95: float | None = None

    @classmethod
    def from_counts(cls, counted: Counter[int]) -> "Percentiles":
        """Those of counts by bucket of `FINE`."""
        return cls(longest_of(counted, 0.5), longest_of(counted, 0.95))


@dataclass(frozen=True)
class Recently:
    """How a kind has gone in the last hour. `bars`: ends, every `BAR` minutes."""

    bars: Sequence[int] = ()
    leases: int = 0
    failed: int = 0
    succeeded: int = 0

    @property
    def a_minute(self) -> float | None:
        """How many jobs ended a minute; None: none did."""
        return sum(self.bars) / MINUTES if self.bars else None

    @property
    def leases_a_minute(self) -> float | None:
        """How many leases ended a minute, in whatever way; None: none did. Each was claimed once."""
        return self.leases / MINUTES if self.bars else None

    @property
    def failure_share(self) -> float | None:
        """Failed of succeeded and failed, from 0 to 1."""
        done = self.succeeded + self.failed
        return self.failed / done if done else None


@dataclass(frozen=True)
class RunTimes:
    """How long jobs of a kind ran, now and around this time a week ago."""

    now: Percentiles = Percentiles()
    before: Percentiles = Percentiles()


def recently(kinds: Collection[str]) -> dict[str, Recently]:
    """How these kinds have gone, of which something ended. One query, whatever the number of kinds."""
    found = {}
    for row in run("recent", kinds=list(kinds), minutes=MINUTES, bar=BAR):
        bars = [0] * (MINUTES // BAR)
        for ago, n in zip(row["agos"], row["ends"], strict=True):
            bars[-1 - ago] = n
        found[row["kind"]] = Recently(bars, row["leases"], row["failed"], row["succeeded"])
    return found


def run_times(kinds: Collection[str]) -> dict[str, RunTimes]:
    """How long jobs of these kinds ran, of which some did. One query."""
    counts: dict[tuple[str, bool], Counter[int]] = {}
    for kind, lately, counted in _hours(kinds):
        counts_of = counts.setdefault((kind, lately), Counter())
        for bucket, n in counted.items():
            counts_of[int(bucket)] += n
    found = {pair: Percentiles.from_counts(of_pair) for pair, of_pair in counts.items()}
    nothing = Percentiles()
    return {kind: RunTimes(found.get((kind, True), nothing), found.get((kind, False), nothing)) for kind, _ in found}


def _hours(kinds: Collection[str]) -> QuerySet[JobRollup, tuple[str, bool, dict[str, int]]]:
    """The hours of now and of a week ago: kind, whether it is of now, and run times."""
    last, hours = rollup.last_counted(), timedelta(hours=HOURS)
    since = hours + timedelta(hours=1)
    rows = JobRollup.objects.filter(span=Span.HOUR, kind__in=kinds).order_by()
    # Each with both ends, so that PostgreSQL knows that they are short, and finds them by the index.
    now = rows.filter(start__gt=last - since, start__lte=last).values_list("kind", Value(True), "run_times")
    before = rows.filter(start__gt=last - WEEK - since, start__lte=last - WEEK + hours)
    return now.union(before.values_list("kind", Value(False), "run_times"), all=True)


@dataclass(frozen=True)
class Stretch:
    """How long jobs of a kind ran, and waited, that ended in one stretch of time."""

    start: datetime
    run: Percentiles
    wait: Percentiles


@dataclass(frozen=True)
class Times:
    """Run and wait times of a kind, hour by hour, from a bit more than a week ago to what is counted last."""

    hours: Sequence[tuple[datetime, Counter[int], Counter[int]]]

    def day(self) -> list[Stretch]:
        """The last day, by the hour."""
        return self._stretches(1, 24)

    def week(self) -> list[Stretch]:
        """The last week, by six hours."""
        return self._stretches(6, 28)

    @property
    def now(self) -> Percentiles:
        """Run times of the present hour and `HOURS` before it."""
        return Percentiles.from_counts(sum((run for _, run, _ in self.hours[-HOURS - 1 :]), Counter()))

    @property
    def before(self) -> Percentiles:
        """Run times around this time a week ago."""
        return Percentiles.from_counts(sum((run for _, run, _ in self.hours[: 2 * HOURS + 1]), Counter()))

    def steps(self) -> list[tuple[float | None, int]]:
        """`(seconds, count)`: how many of the last day ran at most so long and longer than the step before."""
        counted = sum((run for _, run, _ in self.hours[-24:]), Counter[int]())
        return list(zip((*HOME.edges, None), FINE.regroup(counted, HOME), strict=True))

    def _stretches(self, every: int, count: int) -> list[Stretch]:
        hours = self.hours[-every * count :]
        groups = [hours[n : n + every] for n in range(0, len(hours), every)]
        return [
            Stretch(
                group[0][0],
                Percentiles.from_counts(sum((run for _, run, _ in group), Counter())),
                Percentiles.from_counts(sum((wait for _, _, wait in group), Counter())),
            )
            for group in groups
        ]


def of_kind(kind: str) -> Times:
    """Read the times of one kind. One query."""
    hour = timedelta(hours=1)
    counted = rollup.last_counted()
    since = counted - WEEK - (HOURS + 1) * hour
    rows = list(
        JobRollup.objects.filter(span=Span.HOUR, kind=kind, start__gt=since)
        .order_by()
        .values_list("start", "run_times", "wait_times", counted)
    )
    now = timezone.localtime(rows[0][3] if rows else None)
    last = now.replace(minute=0, second=0, microsecond=0)
    starts = [last - WEEK + (n - HOURS) * hour for n in range(int(WEEK / hour) + HOURS + 1)]
    found: list[tuple[Counter[int], Counter[int]]] = [(Counter(), Counter()) for _ in starts]
    for start, run_times, wait_times, _ in rows:
        at = int((start - starts[0]) / hour)
        if start >= starts[0] and at < len(found):
            found[at][0].update(histogram.from_json(run_times))
            found[at][1].update(histogram.from_json(wait_times))
    return Times([(start, *times) for start, times in zip(starts, found, strict=True)])
