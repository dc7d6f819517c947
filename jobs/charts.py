"""Charts as SVG, made on the server: bars and lines with the figures behind them in a table. Pure.

Nothing in them is inline style; colours come from classes (docs/console.md), so they follow light and dark.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 600, 150, 44, 18, 8


@dataclass(frozen=True)
class Line:
    """One row of figures: the class of its colour, its name, and its values; None is a gap."""

    look: str
    name: str
    values: Sequence[float | None]


def seconds(value: float | None) -> str:
    """A duration in a word: `40 ms`, `1.2 s`, `3.5 m`, `2 h`."""
    if value is None:
        return "–"
    if value < 1:
        return f"{value * 1000:.0f} ms"
    for limit, unit, by in ((90, "s", 1), (5400, "m", 60), (172_800, "h", 3600)):
        if value < limit:
            return f"{value / by:.1f}".removesuffix(".0") + f" {unit}"
    return f"{value / 86400:.1f} d"


def figure(value: float) -> str:
    """A figure in a word: `950`, `1.2 k`, `3 M`."""
    for limit, unit in ((1e6, " M"), (1e3, " k")):
        if value >= limit:
            return f"{value / limit:.1f}".removesuffix(".0") + unit
    return f"{value:.0f}"


def nice(most: float) -> float:
    """The next round figure: 1, 2 or 5 times a power of ten."""
    if most <= 0:
        return 1.0
    power = 10.0 ** (len(f"{int(most)}") - 1) if most >= 1 else 0.001
    while True:
        for step in (1, 2, 5):
            if most <= step * power:
                return step * power
        power *= 10


def nice_time(most: float) -> float:
    """The next duration in seconds that people call round."""
    steps = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 18_000, 43_200, 86_400)
    return nice(most) if most <= 1 else next((float(step) for step in steps if most <= step), nice(most))


def stacked(lines: Sequence[Line], ends: tuple[str, str], label: str, wide: int = WIDTH) -> SafeString:
    """Stacked bars. `ends` are what stands under the first and the last; `label` says in words what is seen."""
    most = nice(
        max((sum(v or 0 for v in column) for column in zip(*(s.values for s in lines), strict=True)), default=0)
    )
    many = len(lines[0].values)
    step = (wide - LEFT) / many
    parts = []
    base = [0.0] * many
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
        parts.append(f'<path class="s-{line.look}" d="{"".join(path)}"/>')
    return _drawn(parts, (figure(most), figure(0)), ends, label, wide)


def lines(rows: Sequence[Line], ends: tuple[str, str], label: str) -> SafeString:
    """Lines over time in seconds, with a dot where a value has no neighbour."""
    most = nice_time(max((v for row in rows for v in row.values if v is not None), default=0))
    many = len(rows[0].values)
    step = (WIDTH - LEFT) / many
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
            alone = gap and (n + 1 == many or row.values[n + 1] is None)
            if alone:
                dots.append(f'<circle class="d-{row.look}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>')
            gap = False
        parts.append(f'<path class="l-{row.look}" d="{"".join(path)}"/>{"".join(dots)}')
    return _drawn(parts, (seconds(most), "0"), ends, label, WIDTH)


def _drawn(parts: Sequence[str], scale: tuple[str, str], ends: tuple[str, str], label: str, wide: int) -> SafeString:
    floor = HEIGHT - BOTTOM
    frame = format_html(
        '<path class="axis" d="M{left} {top}H{width}M{left} {floor}H{width}"/>'
        '<text x="{at}" y="{ytop}" text-anchor="end">{most}</text>'
        '<text x="{at}" y="{floor}" text-anchor="end">{zero}</text>'
        '<text x="{left}" y="{height}">{first}</text><text x="{width}" y="{height}" text-anchor="end">{last}</text>',
        left=LEFT, top=TOP, width=wide, floor=floor, at=LEFT - 6, ytop=TOP + 8, most=scale[0], zero=scale[1],
        height=HEIGHT - 4, first=ends[0], last=ends[1],
    )  # fmt: skip
    # The parts are numbers and names of classes of ours.
    body = mark_safe("".join(parts))  # noqa: S308
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>', wide, HEIGHT, label, frame, body
    )
