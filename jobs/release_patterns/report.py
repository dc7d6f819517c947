"""Build the report of release patterns at a bounded cost.

Counts and shares come from the rollup (`jobs.stats.rollup`), reasons and repeats from samples, outliers from the
conclusions. The table of jobs is not scanned.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache, lru_cache

from django.utils import timezone

from bots.models import Bot
from jobs.release_patterns import samples, sums
from jobs.release_patterns.conclusions import (
    Cells,
    ComparedCounts,
    Conclusions,
    conclude,
    conclude_on,
    of_one,
    sentences,
)
from jobs.release_patterns.outliers import LeaseCounts, dispersion, total_by
from jobs.release_patterns.params import ReportParams, midnight
from jobs.release_patterns.samples import ReturnedLease, Samples
from jobs.release_patterns.sums import WAYS
from jobs.states import Span
from jobs.stats import rollup
from jobsite.lib.clock import database_now
from jobsite.lib.planner import any_of

#: The shortest range that compares weekdays: in a shorter one a single bad day would be a bad weekday.
WEEKDAYS_FROM = timedelta(days=14)
#: The longest range whose chart has hours, not days.
BY_HOUR = timedelta(days=3)
#: The most rows of a table on the page. The file has them all.
SHOWN = 15
DELETED_BOT = "a deleted bot"
#: In seconds. Hours begin at a quarter of an hour of UTC everywhere.
QUARTER = 900


@dataclass(frozen=True)
class Bar:
    """One hour or day."""

    start: datetime
    given: int
    leases: int


@dataclass(frozen=True)
class Report:
    """The report. `cells`: counts by `(bot, kind)`; `heat`: by `(weekday, hour)`, Monday is 1. `names`: bots, by id.

    `since`, `until`: the range of the counts. `marked`: statistics exist. `kinds`: those of the range. `hourly`:
    bars are hours, not days.
    """

    params: ReportParams
    since: datetime
    until: datetime
    marked: bool
    conclusions: Conclusions
    sentences: list[str]
    names: dict[str, str]
    cells: dict[tuple[str, str], LeaseCounts]
    kinds: list[str]
    ways: list[tuple[str, int]]
    bars: list[Bar]
    heat: dict[tuple[int, int], LeaseCounts]
    samples: Samples
    bot: Bot | None
    unknown_bot: bool
    hourly: bool


def build(params: ReportParams, now: datetime | None = None) -> Report:
    """Read everything the page shows, in at most eleven queries."""
    counted_until = rollup.added_until()
    since, until = params.span(counted_until or now or database_now())
    bot = Bot.objects.filter(name=params.bot).only("pk", "name").first() if params.bot else None
    unknown = bool(params.bot) and bot is None
    pk = bot.pk if bot else None
    rows = sums.by_bot(since, until, finely=params.range == "24h")
    of_kind = {pair: row for pair, row in rows.items() if params.kind in ("", pair[1]) and not unknown}
    counted = [n for n, way in enumerate(WAYS) if way in params.ways]
    cells = {pair: (sum([row[n] for n in counted]), row[-1]) for pair, row in of_kind.items()}
    read = samples.load(since, until, params.ways, kind=params.kind, bot=pk)
    read = replace(read, rows=[]) if unknown else read
    # A bot's hours are kept for two days only.
    hourly = params.range == "24h" or (bot is None and until - since <= BY_HOUR)
    times = [] if unknown else _by_start(since, until, params, pk, hourly)
    bars = [] if unknown else _bars(since, until, times, hourly)
    hours = [] if bot else times
    figures = _compared_counts(cells, hours, params, read, bars, until)
    conclusions = conclude_on(str(pk), figures) if bot else conclude(figures)
    names = _names(conclusions, read, bot)
    if bot is None:
        lines = sentences(conclusions, names, cells)
    else:
        conclusions, lines = of_one(str(pk), conclusions, cells, names)
        cells = {pair: counts for pair, counts in cells.items() if pair[0] == str(pk)}
    own = [row for (b, _), row in of_kind.items() if pk is None or b == str(pk)]
    return Report(
        params, since, until, counted_until is not None, conclusions, lines, names, cells,
        kinds=sorted({kind for _, kind in rows}),
        ways=[(word, sum([row[n] for row in own])) for n, word in enumerate(WAYS.values())],
        bars=bars,
        heat=_heat(hours, read.rows if bot else []),
        samples=read, bot=bot, unknown_bot=unknown, hourly=hourly,
    )  # fmt: skip


# --- Statistics ------------------------------------------------------------------------------------------------


def _by_start(
    since: datetime, until: datetime, params: ReportParams, bot: int | None, hourly: bool
) -> list[sums.Stretch]:
    """The leases of a bot, by hour or day; else by hour those of a kind, or of all."""
    if bot is None:
        rows = sums.beginning(Span.HOUR, since, until)
    else:
        rows = sums.beginning(Span.BOT_HOUR if hourly else Span.BOT_DAY, since, until).filter(bot=bot)
    # Not the rows of all kinds together: those from before the upgrade to one rollup have no leases.
    return sums.by_start(rows.filter(kind=params.kind) if params.kind else rows.exclude(kind=""), params.ways)


def _bars(since: datetime, until: datetime, times: Iterable[sums.Stretch], hourly: bool) -> list[Bar]:
    """Counts by hour in a short range, else by day, without gaps."""
    starts = _starts(since.astimezone(UTC), until, hourly)
    counts: dict[datetime, LeaseCounts] = dict.fromkeys(starts, (0, 0))
    # By moments of UTC, since a local hour that comes twice is equal to no moment of another zone (PEP 495). A row
    # is of the bar in which it begins: those of another time zone, before, may not begin with one.
    counts |= total_by(
        (starts[max(0, bisect_right(starts, moment.astimezone(UTC)) - 1)], (given, n)) for moment, given, n in times
    )
    return [Bar(timezone.localtime(start), *of_bar) for start, of_bar in counts.items()]


def _starts(since: datetime, until: datetime, hourly: bool) -> list[datetime]:
    """The starts of each hour, or each day in the installation's time zone. A day may have 23 or 25 hours."""
    if hourly:
        hours = -((since - until) // timedelta(hours=1))
        return [since + timedelta(hours=n) for n in range(hours)]
    days = [timezone.localdate(since)]
    while midnight(days[-1] + timedelta(days=1)) < until:
        days.append(days[-1] + timedelta(days=1))
    return [midnight(day) for day in days]


def _heat(times: Iterable[sums.Stretch], rows: list[ReturnedLease]) -> dict[tuple[int, int], LeaseCounts]:
    """By weekday and hour: from the rollup or, for one bot, from samples, then without the number of leases."""
    # A row may have the backlog alone.
    counted = [(_clock(start)[1:], (given, n)) for start, given, n in times if n]
    return total_by([*counted, *((_clock(row.at)[1:], (1, 0)) for row in rows)])


# --- Input of the conclusions ----------------------------------------------------------------------------------


def _compared_counts(
    cells: Mapping[tuple[str, str], LeaseCounts],
    times: Sequence[sums.Stretch],
    params: ReportParams,
    read: Samples,
    bars: list[Bar],
    until: datetime,
) -> ComparedCounts:
    busy = [bar.start for bar in bars if bar.leases]
    begun = max(busy[0], read.since) if busy else until
    days = Counter(start.isoweekday() for start in {day.date() for day in busy if day.date() >= begun.date()})
    long_enough = bool(busy) and until - busy[0] >= WEEKDAYS_FROM
    return ComparedCounts(
        bots=cells,
        hours=_by_slot(times, lambda start: str(_clock(start)[2]), params),
        weekdays=_by_slot(times, lambda start: str(_clock(start)[1]), params) if long_enough else {},
        bunched=_bunched(read.rows, (until - begun).total_seconds(), days),
        share_of=_share_of(read.rows),
    )


def _by_slot(times: Sequence[sums.Stretch], slot_of: Callable[[datetime], str], params: ReportParams) -> Cells:
    """By slot and kind: the leases of all kinds, or of the one that the report is about."""
    if params.kind:
        return total_by(((slot_of(start), params.kind), (given, n)) for start, given, n in times)
    return sums.by_slot([start for start, *_ in times], slot_of, params.ways) if times else {}


def _bunched(rows: list[ReturnedLease], seconds: float, days: Counter[int]) -> dict[str, dict[str, float]]:
    """The dispersion of each value: of bots and kinds over windows of ten minutes, of hours and weekdays over days.

    `seconds`: the time that the rows cover; `days`: the number of each weekday with leases in that time.
    """
    clocks = [_clock(row.at) for row in rows]
    windows = [int(row.at.timestamp()) // samples.WINDOW for row in rows]
    of_time = seconds / samples.WINDOW
    return {
        "bot": _dispersions(zip((str(row.bot or 0) for row in rows), windows, strict=True), lambda bot: of_time),
        "kind": _dispersions(zip((row.kind for row in rows), windows, strict=True), lambda kind: of_time),
        "hour": _dispersions(((str(hour), day) for day, _, hour in clocks), lambda hour: days.total()),
        "weekday": _dispersions(((str(n), day) for day, n, _ in clocks), lambda weekday: days[int(weekday)]),
    }


def _dispersions(pairs: Iterable[tuple[str, object]], windows_of: Callable[[str], float]) -> dict[str, float]:
    """The dispersion of each value over windows. `pairs`: a value and a window for each row."""
    counts: dict[str, list[int]] = defaultdict(list)
    for (value, _), n in Counter(pairs).items():
        counts[value].append(n)
    return {value: dispersion(of_value, windows_of(value)) for value, of_value in counts.items()}


def _clock(moment: datetime) -> tuple[date, int, int]:
    """The day, weekday and hour of a moment in the installation's time zone."""
    return _clock_of(int(moment.timestamp()) // QUARTER, timezone.get_default_timezone())


@lru_cache(maxsize=16_384)
def _clock_of(quarter: int, zone: tzinfo) -> tuple[date, int, int]:
    local = datetime.fromtimestamp(quarter * QUARTER, tz=zone)
    return local.date(), local.isoweekday(), local.hour


def _share_of(rows: list[ReturnedLease]) -> Callable[[frozenset[str], str, str], float]:
    """A function: the share of some bots in the leases returned in an hour or on a weekday."""

    @cache
    def seen() -> dict[tuple[str, str], Counter[str]]:
        counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for row in rows:
            _, weekday, hour = _clock(row.at)
            counts[("hour", str(hour))][str(row.bot or 0)] += 1
            counts[("weekday", str(weekday))][str(row.bot or 0)] += 1
        return counts

    def share(bots: frozenset[str], sort: str, value: str) -> float:
        those = seen().get((sort, value))
        return sum(those[bot] for bot in bots) / those.total() if those else 0.0

    return share


def _names(conclusions: Conclusions, read: Samples, bot: Bot | None) -> dict[str, str]:
    """The names of the bots shown."""
    ids = {int(one.value) for one in conclusions.bots if one.given}
    ids |= {row.bot for row in read.rows if row.bot is not None} | ({bot.pk} if bot else set())
    found = {str(pk): name for pk, name in Bot.objects.filter(any_of("pk", ids)).values_list("pk", "name")}
    return {"0": DELETED_BOT} | found
