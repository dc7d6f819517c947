"""Show states and ages in the console. Each state has a colour, an icon and a word (docs/console.md)."""

from datetime import datetime

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from jobsite.lib.durations import words

#: The family of each state, which gives its colour and icon. Each state has a word of its own.
FAMILIES = {
    "good": "good", "on": "good", "code_needed": "wait", "refused": "bad",
    "pending": "wait", "claimed": "work", "processing": "work", "succeeded": "good", "failed": "bad",
    "cancelled": "wait", "idle": "wait", "busy": "work", "down": "bad", "normal": "good",
    "potentially_stuck": "warn", "was_stuck": "warn", "unhealthy": "bad", "paused": "warn", "throttled": "warn",
    "quarantined": "bad",
    "waiting": "wait", "sent": "good", "dropped": "wait", "given_up": "bad", "well": "good", "failing": "bad",
    "off": "wait", "retired": "wait", "not_used_yet": "wait", "warning": "warn", "critical": "bad",
    "open": "bad", "acknowledged": "work", "resolved": "good", "ignored": "wait", "back": "bad",
    "enqueued": "good", "caught_up": "warn", "skipped": "wait", "missed": "bad",
}  # fmt: skip

#: Shown where there is no value. On a phone such a cell is left out.
NONE = mark_safe('<span class="none">–</span>')


def badge(state: str) -> SafeString:
    """Show a state as a badge: its family's colour and icon, and its word."""
    return format_html('<span class="badge {}">{}</span>', FAMILIES.get(state, "wait"), state.replace("_", " "))


def exact(moment: datetime) -> str:
    """Format a moment to the second in the installation's time zone, with the zone's name."""
    return timezone.localtime(moment).strftime("%Y-%m-%d %H:%M:%S %Z")


def age(moment: datetime | None) -> SafeString:
    """Show how long ago or in how long, with the exact time as a tooltip. A dash for None."""
    if moment is None:
        return NONE
    delta = timezone.now() - moment
    text = words(delta) if delta.total_seconds() >= 0 else f"in {words(-delta)}"
    iso = moment.isoformat(timespec="seconds")
    return format_html('<time datetime="{}" title="{}" data-age>{}</time>', iso, exact(moment), text)


def local(moment: datetime) -> SafeString:
    """Show a moment in the installation's time zone; a script shows it in that of the browser."""
    iso = moment.isoformat(timespec="seconds")
    return format_html('<time datetime="{}" title="{}" data-local>{}</time>', iso, exact(moment), exact(moment))
