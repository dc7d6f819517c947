"""Show `jobs.release_patterns` in the admin: one page, and each of its tables as a file."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from jobs.admin.export import csv_lines
from jobs.release_patterns import samples
from jobs.release_patterns.conclusions import WEEKDAYS, per_cent
from jobs.release_patterns.outliers import Standing
from jobs.release_patterns.params import COUNTED, RANGES, Question
from jobs.release_patterns.report import SHOWN, Patterns, answer
from jobsite.lib import charts

#: What a cell of a table is, for a file.
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Table:
    """One table of the page, as a file has it."""

    columns: tuple[str, ...]
    rows: Callable[[Patterns], Iterable[Row]]


def _standings(one: Standing, value: str) -> Row:
    times = one.times
    return (
        value, one.given, one.leases, round(one.share, 6), round(one.low, 6), round(one.high, 6),
        None if one.others_share is None else round(one.others_share, 6), round(one.expected, 2),
        None if times is None else round(times, 3), f"{one.chance:.3g}", "yes" if one.out else "no",
    )  # fmt: skip


_STANDING = ("given_back", "leases", "share", "low_95", "high_95", "others_share", "expected", "times", "chance", "out")


def _bots(found: Patterns) -> Iterator[Row]:
    return (_standings(one, found.names.get(one.value, f"bot {one.value}")) for one in found.verdict.bots)


def _hours(found: Patterns) -> Iterator[Row]:
    return (_standings(one, f"{int(one.value):02}:00") for one in by_clock(found.verdict.hours))


def _weekdays(found: Patterns) -> Iterator[Row]:
    return (_standings(one, WEEKDAYS[int(one.value) - 1]) for one in by_clock(found.verdict.weekdays))


def by_clock(ones: Iterable[Standing]) -> list[Standing]:
    """Hours and weekdays in their own order."""
    return sorted(ones, key=lambda one: int(one.value))


def _heat(found: Patterns) -> Iterator[Row]:
    return ((WEEKDAYS[d - 1], f"{h:02}:00", *counts) for (d, h), counts in sorted(found.heat.items()))


def _held(found: Patterns) -> Iterator[Row]:
    return (("longer" if step is None else step, n) for step, n in samples.held_for(found.looked.rows).steps)


def _again(ones: Iterable[samples.Again], name: Callable[[int], Any]) -> Iterator[Row]:
    return ((name(one.id), one.kind, one.times, one.last, one.story) for one in ones)


def _jobs(found: Patterns) -> Iterator[Row]:
    return _again(samples.jobs_again(found.looked.rows, found.names), lambda pk: pk)


def _bots_again(found: Patterns) -> Iterator[Row]:
    return _again(samples.bots_again(found.looked.rows), lambda pk: found.names.get(str(pk), pk))


_AGAIN = ("kind", "times", "last", "story")
#: Each table by its name in the address.
TABLES = {
    "bots": Table(("bot", *_STANDING), _bots),
    "kinds": Table(("kind", *_STANDING), lambda found: (_standings(one, one.value) for one in found.verdict.kinds)),
    "hours": Table(("hour", *_STANDING), _hours),
    "weekdays": Table(("weekday", *_STANDING), _weekdays),
    "week": Table(("weekday", "hour", "given_back", "leases"), _heat),
    "time": Table(("from", "given_back", "leases"), lambda found: ((b.start, b.given, b.leases) for b in found.bars)),
    "ways": Table(("way", "leases"), lambda found: found.ways),
    "reasons": Table(("reason", "leases"), lambda found: samples.reasons(found.looked.rows)),
    "who": Table(("who", "leases"), lambda found: samples.whos(found.looked.rows)),
    "held": Table(("held_for_at_most_seconds", "leases"), _held),
    "jobs-again": Table(("job", *_AGAIN), _jobs),
    "bots-again": Table(("bot", *_AGAIN), _bots_again),
}


def page(model: admin.ModelAdmin, request: HttpRequest) -> HttpResponse:
    """The page."""
    if not model.has_view_permission(request):
        raise PermissionDenied
    question = Question.of(request.GET)
    found = answer(question)
    context = model.admin_site.each_context(request) | {
        "title": "Release patterns", "opts": model.opts, "found": found, "question": question, "shown": SHOWN,
        "counted": COUNTED, "what": COUNTED[question.counted][1], "ranges": _ranges(question),
        "zone": timezone.get_default_timezone_name(), "query": question.query(),
        "everything": question.query(kind="", bot=""),
        "days": [day[:3] for day in WEEKDAYS],
    } | _pictures(found)  # fmt: skip
    return TemplateResponse(request, "admin/jobs/jobevent/patterns.html", context)


def _ranges(question: Question) -> list[dict[str, Any]]:
    return [
        {"name": words, "query": question.query(range=name), "here": question.range == name}
        for name, (words, _) in RANGES.items()
    ]


def export(model: admin.ModelAdmin, request: HttpRequest, table: str) -> StreamingHttpResponse:
    """One table as CSV, with all its rows, of the same question as the page."""
    if not model.has_view_permission(request):
        raise PermissionDenied
    if table not in TABLES:
        raise Http404(f"There is no table {table!r}. Tables: {', '.join(TABLES)}.")
    one, found = TABLES[table], answer(Question.of(request.GET))
    rows = (zip(one.columns, row, strict=True) for row in one.rows(found))
    response = StreamingHttpResponse(csv_lines(one.columns, rows), content_type="text/csv; charset=utf-8")
    name = f"release-patterns-{table}-{timezone.now():%Y%m%d-%H%M%S}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


# --- Pictures --------------------------------------------------------------------------------------------------


def _pictures(found: Patterns) -> dict[str, Any]:
    """The charts, and the rows of the tables under them."""
    rows = found.looked.rows
    held = samples.held_for(rows)
    return {
        "bars": _over_time(found),
        "heat": _week(found),
        "week": _week_table(found),
        "sorts": _sorts(found),
        "held": held,
        "held_bars": _held_bars(held),
        "reasons": _metered(samples.reasons(rows)),
        "who": _metered(samples.whos(rows)),
        "ways": _metered(found.ways),
        "jobs_again": samples.jobs_again(rows, found.names)[:SHOWN],
        "bots_again": [
            (found.names.get(str(one.id), f"bot {one.id}"), one) for one in samples.bots_again(rows)[:SHOWN]
        ],
    }  # fmt: skip


def _metered(counts: list[tuple[str, int]]) -> list[dict[str, Any]]:
    most = max((n for _, n in counts), default=0)
    return [{"name": name, "n": n, "meter": charts.meter(n, n, n, most, "work")} for name, n in counts[:SHOWN] if n]


def _sorts(found: Patterns) -> list[dict[str, Any]]:
    """What is compared, sort by sort: its rows, and why there are none."""
    verdict, question = found.verdict, found.question
    alone = "Of one bot no hours are kept for longer than two days; the week below has what was looked at."
    few = "Weekdays are compared from two weeks on: before that, one bad day would be a bad weekday."
    bots = [
        (found.names.get(one.value, f"bot {one.value}"), one, _only(one.value, found)) for one in _first(verdict.bots)
    ]
    kinds = [(one.value, one, question.query(kind=one.value)) for one in _first(verdict.kinds)]
    hours = [(f"{int(one.value):02}:00", one, "") for one in by_clock(verdict.hours)]
    weekdays = [(WEEKDAYS[int(one.value) - 1], one, "") for one in by_clock(verdict.weekdays)]
    return [
        _sort("bots", "By bot", "Bot", bots, "Nothing was given back."),
        _sort("kinds", "By kind", "Kind", kinds, "Nothing was given back."),
        _sort("hours", "By hour of the day", "Hour", hours, alone if found.bot else "No lease ended."),
        _sort("weekdays", "By weekday", "Weekday", weekdays, alone if found.bot else few),
    ]


def _only(bot: str, found: Patterns) -> str:
    """The query string of the same question about this bot alone; empty for one that is gone."""
    return found.question.query(bot=found.names[bot]) if bot != "0" and bot in found.names else ""


def _first(ones: list[Standing]) -> list[Standing]:
    """Those with any, what stands out before the rest."""
    return sorted((one for one in ones if one.given), key=lambda one: (not one.out, not one.hint))


def _sort(name: str, title: str, head: str, rows: list[tuple[str, Standing, str]], none: str) -> dict[str, Any]:
    most = max((one.high for _, one, _ in rows[:SHOWN]), default=0.0)
    return {
        "name": name, "title": title, "head": head, "none": none, "more": max(0, len(rows) - SHOWN),
        "rows": [
            {
                "name": value, "one": one, "query": query,
                "meter": charts.meter(one.share, one.low, one.high, most, "bad" if one.out else "work"),
                "share": per_cent(one.share), "low": per_cent(one.low).removesuffix(" %"),
                "high": per_cent(one.high).removesuffix(" %"),
                "others": None if one.others_share is None else per_cent(one.others_share),
            }
            for value, one, query in rows[:SHOWN]
        ],
    }  # fmt: skip


def _week_table(found: Patterns) -> list[tuple[str, list[str]]]:
    """The figures of the week: a row for each hour, a column for each weekday."""
    return [
        (f"{hour:02}:00", [_short(found.heat.get((day, hour))) for day in range(1, 8)])
        for hour in range(24)
        if any(found.heat.get((day, hour)) for day in range(1, 8))
    ]


def _short(cell: tuple[int, int] | None) -> str:
    if cell is None:
        return "–"
    return f"{cell[0]} of {cell[1]}" if cell[1] else str(cell[0])


def _over_time(found: Patterns) -> str:
    if not found.bars:
        return ""
    shape = "%a %H:%M" if found.hourly else "%d %b"
    ends = (found.bars[0].start.strftime(shape), found.bars[-1].start.strftime(shape))
    unit = "hour" if found.hourly else "day"
    label = f"Leases given back by the {unit}: {found.verdict.given} in all. The figures are in the table below."
    return charts.stacked([charts.Line("bad", "given back", [bar.given for bar in found.bars])], ends, label)


def _week(found: Patterns) -> str:
    """By weekday and hour: the share that was given back, or of one bot how many."""
    rows = []
    for day, name in enumerate(WEEKDAYS, start=1):
        cells = [found.heat.get((day, hour)) for hour in range(24)]
        rows.append((name[:3], [_warmth(cell) for cell in cells], [_told(name, *pair) for pair in enumerate(cells)]))
    columns = [f"{hour:02}" if hour % 6 == 0 else "" for hour in range(24)]
    what = "How many leases" if found.bot else "The share of leases that"
    label = f"{what} were given back, by weekday and hour. The figures are in the table below."
    return charts.heat(rows, columns, label)


def _warmth(cell: tuple[int, int] | None) -> float | None:
    if cell is None:
        return None
    given, leases = cell
    return given / leases if leases else float(given)


def _told(day: str, hour: int, cell: tuple[int, int] | None) -> str:
    said = "no lease ended"
    if cell is not None:
        said = f"{cell[0]} of {cell[1]} leases given back" if cell[1] else f"{cell[0]} given back"
    return f"{day} {hour:02}:00: {said}"


def _held_bars(held: samples.HeldFor) -> str:
    if not held.known:
        return ""
    label = (
        f"How long {held.known} leases had been held before they were given back. The figures are in the table below."
    )
    ends = (f"up to {charts.seconds(samples.STEPS[0])}", f"over {charts.seconds(samples.STEPS[-1])}")
    return charts.stacked([charts.Line("work", "leases", [n for _, n in held.steps])], ends, label)
