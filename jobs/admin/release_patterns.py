"""Show `jobs.release_patterns` in the admin: one page, and each of its tables as CSV."""

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
from jobs.release_patterns.outliers import Comparison
from jobs.release_patterns.params import COUNTED, RANGES, ReportParams
from jobs.release_patterns.report import SHOWN, Report, build
from jobsite.lib import charts

#: A row of a table, for CSV.
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Table:
    """One table of the page, as CSV."""

    columns: tuple[str, ...]
    rows: Callable[[Report], Iterable[Row]]


def _comparison_row(one: Comparison, value: str) -> Row:
    times = one.times
    return (
        value, one.given, one.leases, round(one.share, 6), round(one.low, 6), round(one.high, 6),
        None if one.others_share is None else round(one.others_share, 6), round(one.expected, 2),
        None if times is None else round(times, 3), f"{one.chance:.3g}", "yes" if one.out else "no",
    )  # fmt: skip


_COMPARISON = (
    "given_back", "leases", "share", "low_95", "high_95", "others_share", "expected", "times", "chance", "out",
)  # fmt: skip


def _named(report: Report) -> dict[str, list[tuple[str, Comparison]]]:
    """The comparisons of each sort with the names of their values; hours and weekdays by the clock."""
    conclusions, bots = report.conclusions, report.names
    return {
        "bots": [(bots.get(one.value, f"bot {one.value}"), one) for one in conclusions.bots],
        "kinds": [(one.value, one) for one in conclusions.kinds],
        "hours": [(f"{int(one.value):02}:00", one) for one in by_clock(conclusions.hours)],
        "weekdays": [(WEEKDAYS[int(one.value) - 1], one) for one in by_clock(conclusions.weekdays)],
    }


def by_clock(ones: Iterable[Comparison]) -> list[Comparison]:
    """Sort hours and weekdays by the clock."""
    return sorted(ones, key=lambda one: int(one.value))


def _comparisons(head: str, sort: str) -> Table:
    return Table(
        (head, *_COMPARISON), lambda report: (_comparison_row(one, name) for name, one in _named(report)[sort])
    )


def _heat(report: Report) -> Iterator[Row]:
    return ((WEEKDAYS[d - 1], f"{h:02}:00", *counts) for (d, h), counts in sorted(report.heat.items()))


def _held(report: Report) -> Iterator[Row]:
    return (("longer" if step is None else step, n) for step, n in samples.held_for(report.samples.rows).steps)


def _repeated_jobs(report: Report) -> Iterator[Row]:
    repeats = samples.repeated_jobs(report.samples.rows, report.names)
    return ((one.id, one.kind, one.times, one.last, one.story) for one in repeats)


def _repeated_bots(report: Report) -> Iterator[Row]:
    repeats = samples.repeated_bots(report.samples.rows)
    return ((report.names.get(str(one.id), one.id), one.kind, one.times, one.last, one.story) for one in repeats)


_REPEAT = ("kind", "times", "last", "story")
#: Each table by its name in the address.
TABLES = {
    "bots": _comparisons("bot", "bots"),
    "kinds": _comparisons("kind", "kinds"),
    "hours": _comparisons("hour", "hours"),
    "weekdays": _comparisons("weekday", "weekdays"),
    "week": Table(("weekday", "hour", "given_back", "leases"), _heat),
    "time": Table(("from", "given_back", "leases"), lambda report: ((b.start, b.given, b.leases) for b in report.bars)),
    "ways": Table(("way", "leases"), lambda report: report.ways),
    "reasons": Table(("reason", "leases"), lambda report: samples.reasons(report.samples.rows)),
    "who": Table(("who", "leases"), lambda report: samples.actors(report.samples.rows)),
    "held": Table(("held_for_at_most_seconds", "leases"), _held),
    "jobs-again": Table(("job", *_REPEAT), _repeated_jobs),
    "bots-again": Table(("bot", *_REPEAT), _repeated_bots),
}


def page(model: admin.ModelAdmin, request: HttpRequest) -> HttpResponse:
    """Render the page."""
    if not model.has_view_permission(request):
        raise PermissionDenied
    params = ReportParams.from_params(request.GET)
    report = build(params)
    context = model.admin_site.each_context(request) | {
        "title": "Release patterns", "opts": model.opts, "report": report, "params": params, "shown": SHOWN,
        "counted": COUNTED, "what": COUNTED[params.counted][1],
        "ranges": [
            {"name": words, "query": params.query(range=name), "here": params.range == name}
            for name, (words, _) in RANGES.items()
        ],
        "zone": timezone.get_default_timezone_name(), "query": params.query(),
        "everything": params.query(kind="", bot=""),
        "days": [day[:3] for day in WEEKDAYS],
    } | _charts(report)  # fmt: skip
    return TemplateResponse(request, "admin/jobs/jobevent/patterns.html", context)


def export(model: admin.ModelAdmin, request: HttpRequest, table: str) -> StreamingHttpResponse:
    """Export one table as CSV with all its rows, by the page's parameters."""
    if not model.has_view_permission(request):
        raise PermissionDenied
    if table not in TABLES:
        raise Http404(f"There is no table {table!r}. Tables: {', '.join(TABLES)}.")
    one, report = TABLES[table], build(ReportParams.from_params(request.GET))
    rows = (zip(one.columns, row, strict=True) for row in one.rows(report))
    response = StreamingHttpResponse(csv_lines(one.columns, rows), content_type="text/csv; charset=utf-8")
    name = f"release-patterns-{table}-{timezone.now():%Y%m%d-%H%M%S}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


# --- Charts ----------------------------------------------------------------------------------------------------


def _charts(report: Report) -> dict[str, Any]:
    """The charts, and the rows of their tables."""
    rows = report.samples.rows
    held = samples.held_for(rows)
    return {
        "bars": _over_time(report),
        "heat": _week(report),
        "week": _week_table(report),
        "sorts": _sorts(report),
        "held": held,
        "held_bars": _held_chart(held) if held.known else "",
        "reasons": _metered(samples.reasons(rows)),
        "who": _metered(samples.actors(rows)),
        "ways": _metered(report.ways),
        "repeated_jobs": samples.repeated_jobs(rows, report.names, SHOWN),
        "repeated_bots": [
            (report.names.get(str(one.id), f"bot {one.id}"), one) for one in samples.repeated_bots(rows, SHOWN)
        ],
    }  # fmt: skip


def _metered(counts: list[tuple[str, int]]) -> list[dict[str, Any]]:
    most = max((n for _, n in counts), default=0)
    return [{"name": name, "n": n, "meter": charts.meter(n, n, n, most, "work")} for name, n in counts[:SHOWN] if n]


def _sorts(report: Report) -> list[dict[str, Any]]:
    """The comparisons by sort: rows, or a text if there are none."""
    one_bot = "Hours of a single bot are kept for two days only; The week is drawn from samples."
    too_short = (
        "Weekdays are compared in ranges of two weeks and longer: in a shorter one, one bad day would be a bad weekday."
    )
    named, query = _named(report), report.params.query

    def of_bot(name: str, one: Comparison) -> str:
        # A deleted bot has no name to select it by.
        return query(bot=name) if one.value != "0" and one.value in report.names else ""

    bots, kinds, hours, weekdays = _first(named["bots"]), _first(named["kinds"]), named["hours"], named["weekdays"]
    return [
        _sort("bots", "By bot", "Bot", bots, "No lease was returned.", of_bot),
        _sort("kinds", "By kind", "Kind", kinds, "No lease was returned.", lambda name, _: query(kind=name)),
        _sort("hours", "By hour of the day", "Hour", hours, one_bot if report.bot else "No lease ended."),
        _sort("weekdays", "By weekday", "Weekday", weekdays, one_bot if report.bot else too_short),
    ]


def _first(pairs: list[tuple[str, Comparison]]) -> list[tuple[str, Comparison]]:
    """Those with returned leases, outliers first."""
    return sorted((pair for pair in pairs if pair[1].given), key=lambda pair: (not pair[1].out, not pair[1].hint))


def _sort(
    name: str,
    title: str,
    head: str,
    rows: list[tuple[str, Comparison]],
    none: str,
    query_of: Callable[[str, Comparison], str] = lambda name, one: "",
) -> dict[str, Any]:
    # Hours and weekdays are few and in their order: all are shown.
    first = rows if name in ("hours", "weekdays") else rows[:SHOWN]
    most = max((one.high for _, one in first), default=0.0)
    return {
        "name": name, "title": title, "head": head, "none": none, "more": len(rows) - len(first),
        "rows": [
            {
                "name": value, "one": one, "query": query_of(value, one),
                "meter": charts.meter(one.share, one.low, one.high, most, "bad" if one.out else "work"),
                "share": per_cent(one.share), "low": per_cent(one.low).removesuffix(" %"),
                "high": per_cent(one.high).removesuffix(" %"),
                "others": None if one.others_share is None else per_cent(one.others_share),
            }
            for value, one in first
        ],
    }  # fmt: skip


def _week_table(report: Report) -> list[tuple[str, list[str]]]:
    """The table of the week: a row for each hour, a column for each weekday."""
    return [
        (f"{hour:02}:00", [_short(report.heat.get((day, hour))) for day in range(1, 8)])
        for hour in range(24)
        if any(report.heat.get((day, hour)) for day in range(1, 8))
    ]


def _short(cell: tuple[int, int] | None) -> str:
    if cell is None:
        return "–"
    return f"{cell[0]} of {cell[1]}" if cell[1] else str(cell[0])


def _over_time(report: Report) -> str:
    if not report.bars:
        return ""
    shape = "%a %H:%M" if report.hourly else "%d %b"
    ends = (report.bars[0].start.strftime(shape), report.bars[-1].start.strftime(shape))
    unit = "hour" if report.hourly else "day"
    label = f"Leases returned by {unit}: {report.conclusions.given} in all. The numbers are in the table below."
    return charts.stacked([charts.Line("bad", "returned", [bar.given for bar in report.bars])], ends, label)


def _week(report: Report) -> str:
    """By weekday and hour: the share returned, or for one bot the number."""
    rows = []
    for day, name in enumerate(WEEKDAYS, start=1):
        cells = [report.heat.get((day, hour)) for hour in range(24)]
        rows.append(
            (name[:3], [_heat_value(cell) for cell in cells], [_cell_title(name, *pair) for pair in enumerate(cells)])
        )
    columns = [f"{hour:02}" if hour % 6 == 0 else "" for hour in range(24)]
    measure = "Number" if report.bot else "Share"
    label = f"{measure} of leases returned, by weekday and hour. The numbers are in the table below."
    return charts.heat(rows, columns, label)


def _heat_value(cell: tuple[int, int] | None) -> float | None:
    if cell is None:
        return None
    given, leases = cell
    return given / leases if leases else float(given)


def _cell_title(day: str, hour: int, cell: tuple[int, int] | None) -> str:
    text = "no lease ended"
    if cell is not None:
        text = f"{cell[0]} of {cell[1]} leases returned" if cell[1] else f"{cell[0]} returned"
    return f"{day} {hour:02}:00: {text}"


def _held_chart(held: samples.HeldFor) -> str:
    label = f"Hold times of {held.known} returned leases. The numbers are in the table below."
    ends = (f"up to {charts.seconds(samples.HELD_STEPS[0])}", f"over {charts.seconds(samples.HELD_STEPS[-1])}")
    return charts.stacked([charts.Line("work", "leases", [n for _, n in held.steps])], ends, label)
