"""The figures of the charts: what ended and waited in each stretch of an hour, day or week, and how long it took."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from jobs.states import Span
from jobs.stats.rollup import WIDTH
from jobs.stats.statements import run

#: What a window on the console shows: `{name: (span, at most how many of it)}`.
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
    """One bar for each stretch of the last hour, day or week that is counted, also for those in which nothing ended.

    `now` is for tests.
    """
    span, bars = WINDOWS[window]
    rows = run(
        "series", span=span, kind=kind, bars=bars, now=now, width=WIDTH[span], zone=settings.TIME_ZONE,
        # Hours of another time zone may have begun at each of their quarters.
        starts=4 if span == Span.HOUR else 1,
    )  # fmt: skip
    return [Bar(**row | {"start": timezone.localtime(row["start"])}) for row in rows]
