"""How states and ages are shown in the admin: a colour is never the only sign."""

from datetime import datetime

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from bots.health import words

#: A mark beside each word, for those who do not see the colour.
MARKS = {
    "pending": "○", "claimed": "◐", "processing": "◑", "succeeded": "✓", "failed": "✕", "cancelled": "⊘",
    "idle": "○", "busy": "◑", "down": "✕", "normal": "✓", "potentially_stuck": "!", "unhealthy": "‼",
}  # fmt: skip


def badge(state: str) -> SafeString:
    """A state as a coloured badge with its mark and its word."""
    mark = MARKS.get(state, "•")
    word = state.replace("_", " ")
    return format_html('<span class="badge badge-{}"><span aria-hidden="true">{}</span> {}</span>', state, mark, word)


def age(moment: datetime | None) -> SafeString | str:
    """How long ago (or in how long), with the exact time behind it. A dash for never."""
    if moment is None:
        return "–"
    delta = timezone.now() - moment
    text = words(delta) if delta.total_seconds() >= 0 else f"in {words(-delta)}"
    exact = moment.isoformat(timespec="seconds")
    return format_html('<time datetime="{}" title="{}">{}</time>', exact, exact, text)
