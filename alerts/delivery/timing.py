"""When messages go: how long a try may take, when the next one is, when nobody tries any more, quiet hours. Pure."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from jobs.backoff import factor

#: How long one try may take; then its process is killed.
SEND_WITHIN = timedelta(seconds=20)
#: How long a channel belongs to the sender that took it, from each message on. A sender that died lets go of it then.
LEASE = SEND_WITHIN + timedelta(seconds=40)
#: The pause after the first failure; it doubles with each, spread by 25 % either way …
FIRST_PAUSE = timedelta(seconds=30)
#: … up to this.
LONGEST_PAUSE = timedelta(minutes=15)
#: How long a message is tried, from its first try on.
GIVE_UP_AFTER = timedelta(hours=24)
#: How many channels are sent to at once.
AT_ONCE = 8
#: How long one pass takes new messages; what is left is for the next.
PASS = timedelta(seconds=60)
#: How long the pass after a single sweep takes new messages. A try that has begun has its time all the same.
AFTER_SWEEP = timedelta(seconds=5)
#: How many passes may go on at once beside sweeps in a loop.
BESIDE = 4
#: How long a sender that is stopped waits for what it is sending.
LAST_WAIT = timedelta(seconds=5)


def pause(tries: int, draw: float | None = None) -> timedelta:
    """The pause after so many tries (from 1) have failed. `draw` in [0, 1) fixes the jitter."""
    longest = LONGEST_PAUSE / FIRST_PAUSE
    spread = factor(1, draw)
    return FIRST_PAUSE * min(factor(tries, 0.5), longest) * spread


def quiet_until(now: datetime, start: time | None, end: time | None, zone: ZoneInfo) -> datetime | None:
    """When the quiet hours end that `now` lies in; None outside of them. `start` and `end` are on the wall in `zone`.

    Hours over midnight are meant when `end` is earlier than `start`. Where a clock change leaves out or repeats the
    end, the quiet ends at the first moment at which the wall shows `end` or later.
    """
    if start is None or end is None or start == end:
        return None
    local = now.astimezone(zone)
    if not _within(local.time(), start, end):
        return None
    day = local.date() if local.time() < end else local.date() + timedelta(days=1)
    # Twice for an hour that comes twice, the second time only when the first is over.
    for fold in (0, 1):
        wall = datetime.combine(day, end, zone).replace(fold=fold)
        until = wall.astimezone(ZoneInfo("UTC"))
        if until > now and until.astimezone(zone).time() == end:
            return until
    return _first_shown(now, start, end, zone)


def _within(wall: time, start: time, end: time) -> bool:
    return start <= wall < end if start < end else wall >= start or wall < end


def _first_shown(now: datetime, start: time, end: time, zone: ZoneInfo) -> datetime:
    """The end of the quiet on a day whose clocks leave `end` out: minute by minute, as a person would look."""
    moment = now.astimezone(ZoneInfo("UTC")).replace(second=0, microsecond=0)
    while True:
        moment += timedelta(minutes=1)
        if not _within(moment.astimezone(zone).time(), start, end):
            return moment
