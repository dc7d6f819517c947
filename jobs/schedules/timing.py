"""When a schedule fires: its occurrences after a moment, how many there are up to one, and the rule in words. Pure.

Cron lines are read by cronsim, which goes by Debian's rules when the clocks change: a line with a fixed hour fires once
a day all the same, and one with `*` for the hour fires by elapsed time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from cronsim import CronSim, CronSimError

from jobsite.lib.durations import words
from jobsite.lib.zones import zone

CRON_LENGTH = 200
FIELDS = "minute, hour, day of the month, month, day of the week"
#: Less than the distance of any two moments.
TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Stretch:
    """Consecutive occurrences, and the first one after them; None where there is none."""

    first: datetime
    last: datetime
    count: int
    next: datetime | None
    #: The one before the last; None where there is only one.
    before_last: datetime | None = None

    def without_last(self) -> "Stretch | None":
        """All but the last; None where there is only one."""
        if self.before_last is None:
            return None
        return Stretch(self.first, self.before_last, self.count - 1, self.last)


@dataclass(frozen=True)
class Timing:
    """By a cron line in a time zone, or by an interval from `anchor` on; not before `starts_at`, not past `ends_at`."""

    cron: str
    every: timedelta | None
    time_zone: str
    anchor: datetime
    starts_at: datetime | None = None
    ends_at: datetime | None = None

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The occurrences after this moment, in UTC, ascending."""
        found = self._by_interval(moment, self.every) if self.every else self._by_line(moment)
        for at in found:
            if self.ends_at is not None and at > self.ends_at:
                return
            yield at

    def next_after(self, moment: datetime) -> datetime | None:
        """The first occurrence after this moment."""
        return next(self.after(moment), None)

    def stretch(self, first: datetime, until: datetime, most: int) -> Stretch | None:
        """The occurrences from `first`, which is one, up to `until` and with it. Of a cron line at most so many."""
        if first > until:
            return None
        if self.every:
            count = (min(until, self.ends_at or until) - first) // self.every + 1
            last = first + (count - 1) * self.every
            return Stretch(first, last, count, self.next_after(last), last - self.every if count > 1 else None)
        before, last, count = None, first, 1
        for at in islice(self.after(first), most):
            if at > until or count == most:
                return Stretch(first, last, count, at, before)
            before, last, count = last, at, count + 1
        return Stretch(first, last, count, None, before)

    def words(self) -> str:
        """The rule in words: `At 03:00 every day, Europe/Berlin`."""
        if self.every:
            return f"{self.short()}, counted from {self.anchor.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        return self.short()

    def short(self) -> str:
        """The same without where an interval begins."""
        if self.every:
            return f"Every {words(self.every)}"
        return f"{CronSim(self.cron, self.anchor).explain()}, {self.time_zone}"

    def _by_interval(self, moment: datetime, every: timedelta) -> Iterator[datetime]:
        at = self.anchor + max(0, (moment - self.anchor) // every + 1) * every
        while True:
            yield at
            at += every

    def _by_line(self, moment: datetime) -> Iterator[datetime]:
        last = moment if self.starts_at is None else max(moment, self.starts_at - TICK)
        for local in _Line(self.cron, last.astimezone(zone(self.time_zone))):
            at = local.astimezone(UTC)
            # In the hour that comes twice cronsim names the first one again.
            if at > last:
                yield at
                last = at


class _Line(CronSim):
    """A cron line that is not confused where the clocks change by half an hour, as on Lord Howe Island.

    With one minute, or for an hour, cronsim takes steps of about an hour, and would pass over what repeats.
    """

    def __init__(self, line: str, moment: datetime) -> None:
        super().__init__(line, moment)
        if self.fixup_tz is None:
            # With more than one minute it goes from each to the next. This one never comes.
            self.minutes = {*self.minutes, -1}

    def tick(self, seconds: int = 1) -> None:
        """Go on by so many seconds; by an hour in two steps, and only the first where that is another hour."""
        if seconds != 3600:
            super().tick(seconds)
            return
        hour = self.dt.hour
        super().tick(1800)
        if self.dt.hour == hour:
            super().tick(1800)


def line_fault(cron: str) -> str:
    """What is wrong with a cron line, as a sentence; empty: nothing."""
    if len(cron.split()) != 5:
        return f"Use five fields: {FIELDS}."
    try:
        line = CronSim(cron, datetime(2000, 1, 1, tzinfo=UTC))
        line.explain()
        fires = next(line, None) is not None
    except CronSimError as error:
        return f"{error}. The fields are {FIELDS}."
    except (ValueError, IndexError, AssertionError, NotImplementedError):
        return f"This line cannot be read. The fields are {FIELDS}."
    return "" if fires else "This line never fires."


def zone_fault(name: str) -> str:
    """What is wrong with the name of a time zone, as a sentence; empty: nothing."""
    try:
        zone(name)
    except KeyError:
        return "Use a name of the IANA database, such as Europe/Berlin or UTC."
    return ""
