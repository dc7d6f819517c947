"""Render JSON as HTML without a script: short values are open, long ones folded. Pure."""

import json
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

#: Objects and lists with more entries than this are folded.
MAX_OPEN = 12
#: With more values than this, the JSON is shown as text.
MAX_VALUES = 1500
#: A text with more characters than this is folded.
MAX_TEXT = 300


class _Budget:
    def __init__(self) -> None:
        self.left = MAX_VALUES


def fold(value: Any) -> SafeString:
    """Render the value as nested lists, or as indented text if it is too large."""
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
        return _list("{", "}", [(f"{json.dumps(k, ensure_ascii=False)}: ", v) for k, v in value.items()], budget, depth)
    if isinstance(value, list):
        return _list("[", "]", [("", v) for v in value], budget, depth)
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
        if len(text) > MAX_TEXT:
            return format_html(
                '<details><summary class="s">{}… ({} characters)</summary><span class="s">{}</span></details>',
                text[:80], len(value), text,
            )  # fmt: skip
        return format_html('<span class="s">{}</span>', text)
    return format_html('<span class="n">{}</span>', json.dumps(value))


def _list(start: str, end: str, items: list[tuple[str, Any]], budget: _Budget, depth: int) -> SafeString:
    if not items:
        return format_html("{}{}", start, end)
    inside = format_html_join(
        "", '<li><span class="k">{}</span>{}</li>', ((name, _value(v, budget, depth + 1)) for name, v in items)
    )
    if depth and (len(items) > MAX_OPEN or depth > 3):
        return format_html(
            "<details><summary>{} {} {} {}</summary><ul>{}</ul></details>",
            start, len(items), "entries" if len(items) != 1 else "entry", end, inside,
        )  # fmt: skip
    return format_html("{}<ul>{}</ul>{}", start, inside, end)
