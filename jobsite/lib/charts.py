"""Draw charts as SVG: bars, lines and heat maps. Pure.

There is no inline style: colours come from classes (docs/console.md), so they follow light and dark.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 600, 150, 44, 18, 8


@dataclass(frozen=True)
class Line:
    """One series: the class of its colour, its name, and its values; None is a gap."""

    colour: str
    name: str
    values: Sequence[float | None]


def seconds(value: float | None) -> str:
    """Format a duration: `40 ms`, `1.2 s`, `3.5 m`, `2 h`."""
    if value is None:
        return "–"
    if value < 1:
        return f"{value * 1000:.0f} ms"
    for limit, unit, by in ((90, "s", 1), (5400, "m", 60), (172_800, "h", 3600)):
        if value < limit:
            return f"{value / by:.1f}".removesuffix(".0") + f" {unit}"
    return f"{value / 86400:.1f} d"


def figure(value: float) -> str:
    """Format a number: `950`, `1.2 k`, `3 M`."""
    for limit, unit in ((1e6, " M"), (1e3, " k")):
        if value >= limit:
            return f"{value / limit:.1f}".removesuffix(".0") + unit
    return f"{value:.0f}"


def nice(most: float) -> float:
    """Round up to 1, 2 or 5 times a power of ten."""
    if most <= 0:
        return 1.0
    power = 10.0 ** (len(f"{int(most)}") - 1) if most >= 1 else 0.001
    while True:
        for step in (1, 2, 5):
            if most <= step * power:
                return step * power
        power *= 10


def nice_time(most: float) -> float:
    """Round up to a usual duration, in seconds."""
    steps = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 18_000, 43_200, 86_400)
    return nice(most) if most <= 1 else next((float(step) for step in steps if most <= step), nice(most))


def stacked(
    lines: Sequence[Line], ends: Sequence[str], label: str, wide: int = WIDTH, tips: Sequence[str] = ()
) -> SafeString:
    """Draw stacked bars. `label` describes the chart in words.

    `ends` are the texts under the first bar and the last, or under some that are evenly apart. `tips` has a text for
    each bar, shown under the pointer.
    """
    most = nice(
        max((sum(v or 0 for v in column) for column in zip(*(s.values for s in lines), strict=True)), default=0)
    )
    count = len(lines[0].values)
    step = (wide - LEFT) / count
    parts = []
    base = [0.0] * count
    for line in lines:
        path = []
        for n, value in enumerate(line.values):
            if value:
                height = value / most * (HEIGHT - BOTTOM - TOP)
                y = HEIGHT - BOTTOM - base[n] - height
                path.append(
                    f"M{LEFT + n * step + step * 0.1:.1f} {y:.1f}h{step * 0.8:.1f}v{height:.1f}h-{step * 0.8:.1f}z"
                )
                base[n] += height
        parts.append(f'<path class="s-{line.colour}" d="{"".join(path)}"/>')
    middle = figure(most / 2) if most >= 2 else ""
    return _drawn([*parts, _tips(tips, wide)], (figure(most), middle, figure(0)), ends, label, wide)


def lines(
    rows: Sequence[Line], ends: Sequence[str], label: str, tips: Sequence[str] = (), *, numbers: bool = False
) -> SafeString:
    """Draw lines over time, with a dot where a value has no neighbour; the rest as `stacked`.

    Values are seconds, or `numbers`.
    """
    round_up, written = (nice, figure) if numbers else (nice_time, seconds)
    most = round_up(max((v for row in rows for v in row.values if v is not None), default=0))
    count = len(rows[0].values)
    step = (WIDTH - LEFT) / count
    parts = []
    for row in rows:
        path, dots, gap = [], [], True
        for n, value in enumerate(row.values):
            if value is None:
                gap = True
                continue
            x = LEFT + (n + 0.5) * step
            y = HEIGHT - BOTTOM - value / most * (HEIGHT - BOTTOM - TOP)
            path.append(f"{'M' if gap else 'L'}{x:.1f} {y:.1f}")
            alone = gap and (n + 1 == count or row.values[n + 1] is None)
            if alone:
                dots.append(f'<circle class="d-{row.colour}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>')
            gap = False
        parts.append(f'<path class="l-{row.colour}" d="{"".join(path)}"/>{"".join(dots)}')
    scale = (written(most), "" if numbers and most < 2 else written(most / 2), "0")
    return _drawn([*parts, _tips(tips, WIDTH)], scale, ends, label, WIDTH)


def _tips(tips: Sequence[str], wide: int) -> SafeString:
    """Areas that show a text under the pointer, one for each column that has one. The table has the same figures."""
    step = (wide - LEFT) / max(1, len(tips))
    size = f"v{HEIGHT - BOTTOM - TOP}h{step:.1f}V{TOP}z"
    areas = ((f"M{LEFT + n * step:.0f} {TOP}{size}", tip) for n, tip in enumerate(tips) if tip)
    return format_html_join("", '<path class="tip" d="{}"><title>{}</title></path>', areas)


def _drawn(parts: Sequence[str], scale: Sequence[str], ends: Sequence[str], label: str, wide: int) -> SafeString:
    floor = HEIGHT - BOTTOM
    middle = (TOP + floor) // 2
    frame = format_html(
        '<path class="axis" d="M{left} {top}H{width}M{left} {middle}H{width}M{left} {floor}H{width}"/>',
        left=LEFT, top=TOP, width=wide, floor=floor, middle=middle,
    )  # fmt: skip
    heights = zip((TOP + 8, middle + 4, floor), scale, strict=True)
    frame += format_html_join(
        "", '<text x="{}" y="{}" text-anchor="end">{}</text>', ((LEFT - 6, y, text) for y, text in heights if text)
    )
    last = len(ends) - 1
    places = (
        (round(LEFT + (wide - LEFT) * n / last), HEIGHT - 4, "end" if n == last else "middle" if n else "start", text)
        for n, text in enumerate(ends)
    )
    frame += format_html_join("", '<text x="{}" y="{}" text-anchor="{}">{}</text>', places)
    # The parts are numbers and our own class names.
    body = mark_safe("".join(parts))  # noqa: S308
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>', wide, HEIGHT, label, frame, body
    )


#: Cells of a heat map: their size, and the position of the first.
CELL, CELL_LEFT, CELL_TOP = 22, 34, 4
#: Steps of colour from nothing to the most.
HEATS = 5


def heat(
    rows: Sequence[tuple[str, Sequence[float | None], Sequence[str]]], columns: Sequence[str], label: str
) -> SafeString:
    """Draw a heat map; darker is more.

    Each row has its name, a value for each column (None: no value), and a tooltip for each cell. `columns` are the
    names below, empty where there is none.
    """
    most = max((value for _, values, _ in rows for value in values if value is not None), default=0)
    parts = [_heat_row(row, n, most) for n, row in enumerate(rows)]
    bottom = CELL_TOP + len(rows) * CELL + 12
    for n, name in enumerate(columns):
        if name:
            parts.append(format_html('<text x="{}" y="{}">{}</text>', CELL_LEFT + n * CELL, bottom, name))
    body = mark_safe("".join(parts))  # noqa: S308  each part is escaped
    return format_html(
        '<svg class="chart heat" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>',
        CELL_LEFT + len(columns) * CELL, bottom + 4, label, body,
    )  # fmt: skip


def _heat_row(row: tuple[str, Sequence[float | None], Sequence[str]], n: int, most: float) -> SafeString:
    name, values, titles = row
    top, size = CELL_TOP + n * CELL, CELL - 2
    cells = format_html_join(
        "",
        f'<rect class="h-{{}}" x="{{}}" y="{top}" width="{size}" height="{size}" rx="3"><title>{{}}</title></rect>',
        (
            ("none" if value is None else heat_step(value, most), CELL_LEFT + x * CELL, title)
            for x, (value, title) in enumerate(zip(values, titles, strict=True))
        ),
    )
    return format_html('<text x="{}" y="{}" text-anchor="end">{}</text>{}', CELL_LEFT - 6, top + 15, name, cells)


def heat_step(value: float, most: float) -> int:
    """Return the step of colour, from 0 (nothing) to `HEATS` (the most)."""
    return 0 if value <= 0 or most <= 0 else max(1, round(value / most * HEATS))


def meter(share: float, low: float, high: float, most: float, colour: str) -> SafeString:
    """Draw a share as a bar, with its interval as a line; `most` is where the scale ends. The row has it in words."""
    scale = 100 / most if most > 0 else 0
    at = [min(100.0, value * scale) for value in (share, low, high)]
    return format_html(
        '<svg class="chart meter" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="s-{}" y="2" width="{}" height="8"/><path class="between" d="M{} 6H{}"/></svg>',
        colour, *(f"{value:.1f}" for value in at),
    )  # fmt: skip


def spark(values: Sequence[float], label: str) -> SafeString:
    """Draw bars as high as a line of text. `label` describes them in words."""
    most = max(values, default=0) or 1
    bars = (f"M{4 * n} {16 - 15 * value / most:.1f}h3V16h-3z" for n, value in enumerate(values) if value)
    return format_html(
        '<svg class="chart spark" viewBox="0 0 {} 16" width="{}" height="16" role="img" aria-label="{}">'
        '<path class="axis" d="M0 16H{}"/><path class="s-work" d="{}"/></svg>',
        4 * len(values), 4 * len(values), label, 4 * len(values), "".join(bars),
    )  # fmt: skip


def strip(marks: Sequence[tuple[str, str]], label: str) -> SafeString:
    """Draw a row of marks: the class of the colour of each, and its tooltip. What is not good is lower or higher."""
    heights = {"good": 10, "work": 10, "warn": 14, "bad": 18}
    cells = format_html_join(
        "",
        '<rect class="s-{}" x="{}" y="{}" width="5" height="{}" rx="1"><title>{}</title></rect>',
        (
            (colour, 7 * n, 20 - heights.get(colour, 5), heights.get(colour, 5), title)
            for n, (colour, title) in enumerate(marks)
        ),
    )
    return format_html(
        '<svg class="chart strip" viewBox="0 0 {} 20" width="{}" height="20" role="img" aria-label="{}">{}</svg>',
        7 * len(marks), 7 * len(marks), label, cells,
    )  # fmt: skip


def small_bars(values: Sequence[int], label: str, colour: str = "bad") -> SafeString:
    """Draw a few numbers as bars in the height of a line, the first at the left."""
    most = max(values, default=0)
    heights = [max(2, round(value / most * 20)) if value else 1 for value in values]
    cells = format_html_join(
        "",
        '<rect class="s-{}" x="{}" y="{}" width="3" height="{}"/>',
        (
            (colour if value else "wait", 4 * n, 20 - high, high)
            for n, (value, high) in enumerate(zip(values, heights, strict=True))
        ),
    )
    return format_html(
        '<svg class="chart strip" viewBox="0 0 {} 20" width="{}" height="20" role="img" aria-label="{}">{}</svg>',
        4 * len(values), 4 * len(values), label, cells,
    )  # fmt: skip
