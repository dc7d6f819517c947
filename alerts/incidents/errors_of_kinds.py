"""Detect errors of a kind that are new, and errors that are back after an operator resolved them.

The words of an error are on its page alone: not everybody who is notified may see what jobs carry.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Exists, F, OuterRef

from alerts.incidents.detectors import Finding
from alerts.states import Cause, Severity
from jobs.models import ErrorGroup, JobKind
from jobsite.lib.badges import exact

#: An error is new for so long, once it has happened so often, under a kind that has been there for longer than that.
NEW_FOR, NEW_FROM, KIND_KNOWN_FOR = timedelta(hours=1), 5, timedelta(days=1)
#: An error that is back is over when it has not happened for so long.
BACK_FOR = timedelta(days=1)
#: How many error groups a reason names.
NAMED = 5


def detect(now: datetime, kind: str | None = None) -> list[Finding]:
    """Find kinds with errors that are new or back, and that nobody has resolved or ignored."""
    groups = ErrorGroup.objects.open().filter(last_at__gte=now - BACK_FOR).exclude(fingerprint="")
    groups = groups.defer("hours", "bots", "versions").order_by("-last_at")
    if kind is not None:
        groups = groups.filter(kind=kind)
    known = JobKind.objects.filter(name=OuterRef("kind"), created_at__lt=OuterRef("first_at") - KIND_KNOWN_FOR)
    new = groups.filter(Exists(known), changed_at=None, first_at__gte=now - NEW_FOR, count__gte=NEW_FROM)
    back = groups.filter(back_at__isnull=False, last_at__gte=F("back_at"))
    return [
        *(_finding(Cause.ERROR_NEW, name, ones, "a new error", "new errors") for name, ones in _by_kind(new)),
        *(_finding(Cause.ERROR_BACK, name, ones, "an error that was resolved", "errors that were resolved")
          for name, ones in _by_kind(back)),
    ]  # fmt: skip


def _by_kind(groups: Iterable[ErrorGroup]) -> list[tuple[str, list[ErrorGroup]]]:
    found: dict[str, list[ErrorGroup]] = {}
    for group in groups:
        found.setdefault(group.kind, []).append(group)
    return sorted(found.items())


def _finding(cause: Cause, kind: str, groups: list[ErrorGroup], one: str, several: str) -> Finding:
    title = f"{kind} jobs fail with {one if len(groups) == 1 else f'{len(groups)} {several}'}"
    # The groups that have failed for longest, and no counts: a reason that changes each minute is written each time.
    first = sorted(groups, key=lambda group: (group.back_at or group.first_at, group.pk))[:NAMED]
    named = [_named(group) for group in first]
    more = f"; and {len(groups) - NAMED} more" if len(groups) > NAMED else ""
    return Finding(cause, kind, Severity.WARNING, title, f"{'; '.join(named)}{more}.", kind)


def _named(group: ErrorGroup) -> str:
    if group.back_at is None:
        return f"Error group {group.pk}, first at {exact(group.first_at)}"
    return f"Error group {group.pk}, back at {exact(group.back_at)} after {group.changed_by or 'a command'} resolved it"
