"""JSON for people to read: what is short stands open, what is long is folded. HTML without a script. Pure."""

import json
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

#: Objects and lists with more in them than this are folded.
OPEN = 12
#: How many values are made into HTML one by one; the rest is shown as text.
MOST = 1500
#: How many characters of a text are shown before it is folded.
LONG = 300


class _Budget:
    def __init__(self) -> None:
        self.left = MOST


def fold(value: Any) -> SafeString:
    """The value as nested lists. A value too large for that as indented text."""
    if isinstance(value, str) and "\n" in value:
        return format_html("<pre>{}</pre>", value)
    budget = _Budget()
    shown = _value(value, budget, 0)
    if budget.left <= 0:
        return format_html('<pre class="json">{}</pre>', json.dumps(value, indent=2, ensure_ascii=False))
    return format_html('<div class="json">{}</div>', shown)


def _value(value: Any, budget: _Budget, depth: int) -> SafeString:
    budget.left -= 1
    if budget.left <= 0 or depth > 30:
        budget.left = 0
        return format_html("{}", "…")
    if isinstance(value, dict):
        return _many("{", "}", [(f"{json.dumps(k, ensure_ascii=False)}: ", v) for k, v in value.items()], budget, depth)
    if isinstance(value, list):
        return _many("[", "]", [("", v) for v in value], budget, depth)
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
        if len(text) > LONG:
            return format_html(
                '<details><summary class="s">{}… ({} characters)</summary><span class="s">{}</span></details>',
                text[:80], len(value), text,
            )  # fmt: skip
        return format_html('<span class="s">{}</span>', text)
    return format_html('<span class="n">{}</span>', json.dumps(value))


def _many(start: str, end: str, items: list[tuple[str, Any]], budget: _Budget, depth: int) -> SafeString:
    if not items:
        return format_html("{}{}", start, end)
    inside = format_html_join(
        "", '<li><span class="k">{}</span>{}</li>', ((name, _value(v, budget, depth + 1)) for name, v in items)
    )
    if depth and (len(items) > OPEN or depth > 3):
        return format_html(
            "<details><summary>{} {} {} {}</summary><ul>{}</ul></details>",
            start, len(items), "entries" if len(items) != 1 else "entry", end, inside,
        )  # fmt: skip
    return format_html("{}<ul>{}</ul>{}", start, inside, end)
