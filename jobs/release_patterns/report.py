"""Build the report of release patterns at a bounded cost.

Counts and shares come from the rollup (`jobs.stats.rollup`), reasons and repeats from samples, outliers from the
conclusions. The table of jobs is not scanned.
"""

import operator
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache, reduce

from django.db.models import Expression, F, QuerySet, Sum
from django.db.models.expressions import Combinable
from django.db.models.functions import ExtractHour, ExtractIsoWeekDay, TruncDay
from django.utils import timezone

from bots.models import Bot
from jobs.models import JobRollup
from jobs.release_patterns import samples
from jobs.release_patterns.conclusions import ComparedCounts, Conclusions, conclude, of_one, sentences
from jobs.release_patterns.outliers import LeaseCounts, dispersion, total_by
from jobs.release_patterns.params import ReportParams, midnight
from jobs.release_patterns.samples import ReturnedLease, Samples
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
#: The ways in which a lease is returned, in words.
WAYS = {
    "released": "released by operators",
    "expired": "expired",
    "handed_back": "handed back by bots",
}
#: The rollup's columns for each way in which a lease can end (`transitions.Outcome`).
COLUMNS = {
    "succeeded": ("succeeded",),
    "failed": ("attempts_failed",),
    "cancelled": ("cancelled_held",),
    "released": ("released",),
    "expired": ("expired", "given_up"),
    "handed_back": ("handed_back",),
}
ENDED = tuple(column for columns in COLUMNS.values() for column in columns)


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
    """Read everything the page shows, in at most eight queries."""
    counted_until = rollup.added_until()
    since, until = params.span(counted_until or now or database_now())
    bot = Bot.objects.filter(name=params.bot).only("pk", "name").first() if params.bot else None
    unknown = bool(params.bot) and bot is None
    pk = bot.pk if bot else None
    rows = _by_bot(since, until, finely=params.range == "24h")
    of_kind = {pair: row for pair, row in rows.items() if params.kind in ("", pair[1]) and not unknown}
    cells = {(str(b), k): (sum(row[way] for way in params.ways), row["leases"]) for (b, k), row in of_kind.items()}
    read = samples.load(since, until, params.ways, kind=params.kind, bot=pk)
    read = replace(read, rows=[]) if unknown else read
    times = {} if bot or unknown else _by_time(since, until, params)
    # A bot's hours are kept for two days only.
    hourly = params.range == "24h" or (bot is None and until - since <= BY_HOUR)
    bars = [] if unknown else _bars(since, until, params, pk, hourly)
    conclusions = conclude(_compared_counts(cells, times, read, bars, until))
    names = _names(conclusions, read, bot)
    if bot is None:
        lines = sentences(conclusions, names, cells)
    else:
        conclusions, lines = of_one(str(pk), conclusions, cells, names)
        cells = {pair: counts for pair, counts in cells.items() if pair[0] == str(pk)}
    own = [row for (b, _), row in of_kind.items() if pk in (None, b)]
    return Report(
        params, since, until, counted_until is not None, conclusions, lines, names, cells,
        kinds=sorted({kind for _, kind in rows}),
        ways=[(word, sum(row[way] for row in own)) for way, word in WAYS.items()],
        bars=bars,
        heat=_heat(times, read.rows if bot else []),
        samples=read, bot=bot, unknown_bot=unknown, hourly=hourly,
    )  # fmt: skip


# --- Statistics ------------------------------------------------------------------------------------------------


def _added(columns: tuple[str, ...]) -> Combinable:
    return reduce(operator.add, (F(column) for column in columns))


def _rows(since: datetime, until: datetime, span: Span, kind: str = "") -> QuerySet[JobRollup]:
    # Those of all kinds together would count everything twice.
    rows = JobRollup.objects.filter(span=span, start__gte=since, start__lt=until).exclude(kind="")
    return rows.filter(kind=kind) if kind else rows


def _by_bot(since: datetime, until: datetime, *, finely: bool) -> dict[tuple[int, str], dict[str, int]]:
    """By bot and kind: leases returned in each way, and `leases`, all that ended."""
    rows = _rows(since, until, Span.BOT_HOUR if finely else Span.BOT_DAY)
    sums = {f"sum_{way}": Sum(_added(COLUMNS[way])) for way in WAYS}
    grouped = rows.values_list("bot", "kind").annotate(ended=Sum(_added(ENDED)), **sums).order_by()
    return {(bot, kind): dict(zip(("leases", *WAYS), row, strict=True)) for bot, kind, *row in grouped}


def _by_time(since: datetime, until: datetime, params: ReportParams) -> dict[tuple[int, int, str], LeaseCounts]:
    """By weekday (Monday is 1), hour and kind, in the installation's time zone."""
    zone = timezone.get_default_timezone()
    rows = _rows(since, until, Span.HOUR, params.kind)
    weekday, hour = ExtractIsoWeekDay("start", tzinfo=zone), ExtractHour("start", tzinfo=zone)
    grouped = rows.values_list(weekday, hour, "kind").annotate(**_sums(params)).order_by()
    return {(day, of_day, kind): (given, n) for day, of_day, kind, given, n in grouped}


def _sums(params: ReportParams) -> dict[str, Expression]:
    given = tuple(column for way in params.ways for column in COLUMNS[way])
    return {"given": Sum(_added(given)), "ended": Sum(_added(ENDED))}


def _bars(since: datetime, until: datetime, params: ReportParams, bot: int | None, hourly: bool) -> list[Bar]:
    """Counts by hour in a short range, else by day, without gaps."""
    zone = timezone.get_default_timezone()
    span = Span.HOUR if bot is None else Span.BOT_HOUR if hourly else Span.BOT_DAY
    rows = _rows(since, until, span, params.kind)
    if bot is not None:
        rows = rows.filter(bot=bot)
    # Not local hours: one occurs twice when the clocks go back.
    at = F("start") if hourly else TruncDay("start", tzinfo=zone)
    grouped = rows.annotate(at=at).values_list("at").annotate(**_sums(params)).order_by()
    starts = _starts(since.astimezone(UTC), until, hourly)
    sums: dict[datetime, LeaseCounts] = dict.fromkeys(starts, (0, 0))
    # By moments of UTC, since a local hour that comes twice is equal to no moment of another zone (PEP 495). A row
    # is of the bar in which it begins: those of another time zone, before, may not begin with one.
    sums |= total_by(
        (starts[max(0, bisect_right(starts, moment.astimezone(UTC)) - 1)], (given, n)) for moment, given, n in grouped
    )
    return [Bar(timezone.localtime(start), *counts) for start, counts in sums.items()]


def _starts(since: datetime, until: datetime, hourly: bool) -> list[datetime]:
    """The starts of each hour, or each day in the installation's time zone. A day may have 23 or 25 hours."""
    if hourly:
        hours = -((since - until) // timedelta(hours=1))
        return [since + timedelta(hours=n) for n in range(hours)]
    days = [timezone.localdate(since)]
    while midnight(days[-1] + timedelta(days=1)) < until:
        days.append(days[-1] + timedelta(days=1))
    return [midnight(day) for day in days]


def _heat(
    times: Mapping[tuple[int, int, str], LeaseCounts], rows: list[ReturnedLease]
) -> dict[tuple[int, int], LeaseCounts]:
    """By weekday and hour: from the rollup or, for one bot, from samples, then without the number of leases."""
    counted = [((weekday, hour), counts) for (weekday, hour, _), counts in times.items()]
    return total_by([*counted, *((_clock(row.at)[1:], (1, 0)) for row in rows)])


# --- Input of the conclusions ----------------------------------------------------------------------------------


def _compared_counts(
    cells: Mapping[tuple[str, str], LeaseCounts],
    times: Mapping[tuple[int, int, str], LeaseCounts],
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
        hours=total_by(((str(hour), kind), counts) for (_, hour, kind), counts in times.items()),
        weekdays=total_by(((str(day), kind), counts) for (day, _, kind), counts in times.items() if long_enough),
        bunched=_bunched(read.rows, (until - begun).total_seconds(), days),
        share_of=_share_of(read.rows),
    )


def _bunched(rows: list[ReturnedLease], seconds: float, days: Counter[int]) -> dict[str, dict[str, float]]:
    """The dispersion of each value: of bots and kinds over windows of ten minutes, of hours and weekdays over days.

    `seconds`: the time that the rows cover; `days`: the number of each weekday with leases in that time.
    """
    counts: dict[str, dict[str, Counter[object]]] = {
        sort: defaultdict(Counter) for sort in ("bot", "kind", "hour", "weekday")
    }
    for row in rows:
        day, weekday, hour = _clock(row.at)
        window = int(row.at.timestamp()) // samples.WINDOW
        counts["bot"][str(row.bot or 0)][window] += 1
        counts["kind"][row.kind][window] += 1
        counts["hour"][str(hour)][day] += 1
        counts["weekday"][str(weekday)][day] += 1
    found: dict[str, dict[str, float]] = {}
    for sort, of_sort in counts.items():
        for value, seen in of_sort.items():
            windows = seconds / samples.WINDOW
            if sort in ("hour", "weekday"):
                windows = days[int(value)] if sort == "weekday" else days.total()
            found.setdefault(sort, {})[value] = dispersion(seen.values(), windows)
    return found


def _clock(moment: datetime) -> tuple[date, int, int]:
    """The day, weekday and hour of a moment in the installation's time zone."""
    return _clock_of(int(moment.timestamp()) // QUARTER, timezone.get_default_timezone())


@lru_cache(maxsize=4096)
def _clock_of(quarter: int, zone: tzinfo) -> tuple[date, int, int]:
    local = datetime.fromtimestamp(quarter * QUARTER, tz=zone)
    return local.date(), local.isoweekday(), local.hour


def _share_of(rows: list[ReturnedLease]) -> Callable[[frozenset[str], str, str], float]:
    """A function: the share of some bots in the leases returned in an hour or on a weekday."""
    seen: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in rows:
        _, weekday, hour = _clock(row.at)
        seen[("hour", str(hour))][str(row.bot or 0)] += 1
        seen[("weekday", str(weekday))][str(row.bot or 0)] += 1

    def share(bots: frozenset[str], sort: str, value: str) -> float:
        those = seen.get((sort, value))
        return sum(those[bot] for bot in bots) / those.total() if those else 0.0

    return share


def _names(conclusions: Conclusions, read: Samples, bot: Bot | None) -> dict[str, str]:
    """The names of the bots shown."""
    ids = {int(one.value) for one in conclusions.bots if one.given}
    ids |= {row.bot for row in read.rows if row.bot is not None} | ({bot.pk} if bot else set())
    found = {str(pk): name for pk, name in Bot.objects.filter(any_of("pk", ids)).values_list("pk", "name")}
    return {"0": DELETED_BOT} | found
