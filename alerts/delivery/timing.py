"""Timing of deliveries: time-out of a try, pause before the next, when to give up, quiet hours. Pure."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from jobs.backoff import factor

#: Time-out of one try. After it the worker process is killed.
SEND_WITHIN = timedelta(seconds=20)
#: How long a sender keeps a channel without renewing. Also how long a dead sender blocks one.
SENDER_LEASE = SEND_WITHIN + timedelta(seconds=40)
#: The pause after the first failure; it doubles with each, spread by 25 % either way …
FIRST_PAUSE = timedelta(seconds=30)
#: … up to this.
LONGEST_PAUSE = timedelta(minutes=15)
#: How long a delivery is retried, counted from its first try.
GIVE_UP_AFTER = timedelta(hours=24)
#: How many channels one run sends to in parallel.
MAX_CHANNELS_AT_ONCE = 8
#: How many notifications one run sends to a channel, the urgent ones first. The next run sends the rest.
MAX_PER_RUN = 20
#: How long one run starts new deliveries. The next run sends the rest.
RUN_TIME = timedelta(seconds=60)
#: The same for the run after a single sweep. A try that has begun may still take its full time.
RUN_TIME_AFTER_SWEEP = timedelta(seconds=5)
#: How many runs may overlap beside sweeps in a loop.
MAX_BACKGROUND_RUNS = 4
#: How long a stopped sender waits for tries under way.
STOP_WAIT = timedelta(seconds=5)


def pause(tries: int, draw: float | None = None) -> timedelta:
    """Return the pause after `tries` failed tries (from 1). `draw` in [0, 1) fixes the jitter."""
    longest = LONGEST_PAUSE / FIRST_PAUSE
    spread = factor(1, draw)
    return FIRST_PAUSE * min(factor(tries, 0.5), longest) * spread


def quiet_until(now: datetime, start: time | None, end: time | None, zone: ZoneInfo) -> datetime | None:
    """Return when the quiet hours around `now` end; None outside of them. `start` and `end`: local times in `zone`.

    If `end` is before `start`, the hours span midnight. If a clock change skips or repeats `end`, quiet hours end when
    the local clock first shows `end` or later.
    """
    if start is None or end is None or start == end:
        return None
    local = now.astimezone(zone)
    if not _within(local.time(), start, end):
        return None
    day = local.date() if local.time() < end else local.date() + timedelta(days=1)
    # Twice if the hour repeats: the second only once the first has passed.
    for fold in (0, 1):
        wall = datetime.combine(day, end, zone).replace(fold=fold)
        until = wall.astimezone(ZoneInfo("UTC"))
        if until > now and until.astimezone(zone).time() == end:
            return until
    return _first_shown(now, start, end, zone)


def _within(wall: time, start: time, end: time) -> bool:
    return start <= wall < end if start < end else wall >= start or wall < end


def _first_shown(now: datetime, start: time, end: time, zone: ZoneInfo) -> datetime:
    """The end of quiet hours on a day that skips `end`: the first full minute outside of them."""
    moment = now.astimezone(ZoneInfo("UTC")).replace(second=0, microsecond=0)
    while True:
        moment += timedelta(minutes=1)
        if not _within(moment.astimezone(zone).time(), start, end):
            return moment
