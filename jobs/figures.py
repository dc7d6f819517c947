"""What the console's figures come from: a tally that is kept, counts that stop, and guesses that say so.

A page that counted jobs would cost what exists. So what ended is added up once, a closed minute at a time
(`keep_tally`, which every sweep calls), and what is waiting is counted only up to a limit; beyond it the planner's own
statistics give a figure that is shown as "about" (docs/decisions/0010-statistics.md).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Max, Min, OuterRef, Subquery
from django.utils import timezone

from jobs import learned
from jobs.models import Job, JobKind, Tally
from jobs.states import FINISHED, JobStatus, Span
from jobs.stats.statements import run

#: Run times are counted on these steps, in seconds; what took longer than the last is counted after it.
STEPS = tuple(0.1 * 2**n for n in range(18))
#: How long the rows of each span are kept.
KEEP = {Span.MINUTE: timedelta(hours=3), Span.QUARTER: timedelta(days=2), Span.HOUR: timedelta(days=35)}
WIDTH = {Span.MINUTE: timedelta(minutes=1), Span.QUARTER: timedelta(minutes=15), Span.HOUR: timedelta(hours=1)}
#: A minute is closed when it has been over for so long: a report that is being written has reached the table by then.
SETTLED = timedelta(seconds=30)
#: How much of the past one transaction adds up while catching up.
CHUNK = timedelta(hours=6)
#: How far jobs are counted one by one.
COUNTED = 5000
#: How many priorities of a kind are looked through for its oldest job.
PRIORITIES = 200
#: Any number that no other lock of this database has: two sweeps at once must not add up the same minute.
LOCK = 0x7A11

#: What a window on the console shows: `{name: (span, how many of it)}`.
WINDOWS = {"hour": (Span.MINUTE, 60), "day": (Span.QUARTER, 96), "week": (Span.HOUR, 168)}


# --- The tally ------------------------------------------------------------------------------------------------


def keep_tally(now: datetime | None = None) -> int:
    """Add up every minute that has closed since the last time. Returns how many; 0 when somebody else is at it.

    Each minute is added up once, in the transaction that moves the mark, and what it teaches (`jobs.learned`) with it;
    the mark is the last minute's row for all kinds, which is there even when nothing ended.
    """
    minutes = 0
    while added := _add_chunk(now or timezone.now()):
        minutes += added
    return minutes


def _add_chunk(now: datetime) -> int:
    until = (now - SETTLED).replace(second=0, microsecond=0)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
            if not cursor.fetchone()[0]:
                return 0
        since = mark()
        if since is None:
            since = max((oldest_finished() or until).replace(second=0, microsecond=0), until - KEEP[Span.HOUR])
            since = min(since, until - WIDTH[Span.MINUTE])
        until = min(until, since + CHUNK)
        if until <= since:
            return 0
        kept = {f"keep_{span}s": keep for span, keep in KEEP.items()}
        buckets = {"buckets": learned.BUCKETS, "shortest": learned.SHORTEST, "ratio": learned.RATIO}
        learned.learn(run("tally", since=since, until=until, steps=len(STEPS), **kept, **buckets))
        last = until - WIDTH[Span.MINUTE]
        Tally.objects.bulk_create([Tally(span=Span.MINUTE, start=last)], ignore_conflicts=True)
        for span, keep in KEEP.items():
            Tally.objects.filter(span=span, start__lt=min(now - keep, last)).delete()
    return int((until - since) / WIDTH[Span.MINUTE])


def first_end() -> Subquery:
    """When the first of a kind's jobs ended, of those that are there: for a query about kinds."""
    ended = Job.objects.filter(kind=OuterRef("pk"), status__in=FINISHED).order_by("finished_at")
    return Subquery(ended.values("finished_at")[:1])


def oldest_finished() -> datetime | None:
    """When the first of all jobs that are there ended."""
    first: datetime | None = JobKind.objects.annotate(ended=first_end()).aggregate(first=Min("ended"))["first"]
    return first


def mark() -> datetime | None:
    """Until when all is added up; None when nothing is yet."""
    last = Tally.objects.filter(span=Span.MINUTE, kind="").aggregate(last=Max("start"))["last"]
    return None if last is None else last + WIDTH[Span.MINUTE]


@dataclass(frozen=True)
class Bar:
    """What ended in one stretch of time. Waits and run times are means in seconds; None when there are none."""

    start: datetime
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    wait: float | None = None
    run: float | None = None

    @property
    def ended(self) -> int:
        return self.succeeded + self.failed + self.cancelled


def series(window: str, kind: str = "", now: datetime | None = None) -> list[Bar]:
    """One bar for each stretch of the last hour, day or week, also for those in which nothing ended."""
    span, many = WINDOWS[window]
    width = WIDTH[span]
    end = _floor(now or timezone.now(), width)
    starts = [end - width * n for n in range(many - 1, -1, -1)]
    rows = {row.start: row for row in Tally.objects.filter(span=span, kind=kind, start__gte=starts[0])}
    return [_bar(start, rows.get(start)) for start in starts]


def _floor(moment: datetime, width: timedelta) -> datetime:
    seconds = int(width.total_seconds())
    return datetime.fromtimestamp(int(moment.timestamp()) // seconds * seconds, tz=timezone.get_current_timezone())


def _bar(start: datetime, row: Tally | None) -> Bar:
    if row is None:
        return Bar(start)
    wait = row.waited / row.waits if row.waits else None
    run = row.ran / row.succeeded if row.succeeded else None
    return Bar(start, row.succeeded, row.failed, row.cancelled, wait, run)


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
    rows = Tally.objects.filter(span=Span.HOUR, start__gte=timezone.now() - timedelta(hours=hours))
    if kind is not None:
        rows = rows.filter(kind__in=["", kind])
    by_kind: dict[str, list[Tally]] = {}
    for row in rows:
        by_kind.setdefault(row.kind, []).append(row)
    return {name: _spread(group) for name, group in by_kind.items()}


def _spread(rows: list[Tally]) -> Spread:
    succeeded = sum(row.succeeded for row in rows)
    counts = [sum(column) for column in zip(*(row.runs for row in rows if row.runs), strict=True)]
    return Spread(
        succeeded=succeeded,
        failed=sum(row.failed for row in rows),
        cancelled=sum(row.cancelled for row in rows),
        mean=sum(row.ran for row in rows) / succeeded if succeeded else None,
        steps=list(zip([*STEPS, None], counts, strict=True)) if counts else [],
    )


# --- Counts that stop -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Count:
    """How many. `about`: counting stopped, and the figure is a guess that is never below what was counted."""

    n: int
    about: bool = False

    def __str__(self) -> str:
        figure = f"{self.n:,}".replace(",", "\u202f")
        return f"about {figure}" if self.about else figure

    def __add__(self, other: "Count") -> "Count":
        return Count(self.n + other.n, self.about or other.about)


def counted(n: int, guess: int) -> Count:
    """A count that stopped beyond `COUNTED` as a figure for people."""
    if n <= COUNTED:
        return Count(n)
    rough = max(n - 1, guess)
    step = 10 ** max(0, len(str(rough)) - 2)
    return Count(rough // step * step, about=True)


def by_status() -> tuple[dict[str, Count], Count]:
    """How many jobs are in each status, and how many were released by operators today, in one query."""
    today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    rows = {row["status"]: row for row in run("statuses", most=COUNTED, today=today)}
    counts = {str(status): counted(rows[status]["counted"], rows[status]["guess"]) for status in JobStatus.values}
    return counts, counted(rows[JobStatus.PENDING]["releases"], 0)


def oldest_pending() -> list[dict[str, Any]]:
    """For each kind with a due job: `{kind, id, run_at, paused}` of the one due for longest, longest first."""
    return sorted(run("oldest", steps=PRIORITIES), key=lambda row: row["run_at"])
