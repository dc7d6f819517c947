"""Detect that new jobs are refused because too many are pending, and whose they are."""

from datetime import datetime

from django.conf import settings

from alerts.incidents.detectors import Finding
from alerts.states import Cause, Severity
from jobs.enqueue.pending import ALL
from jobs.enqueue.refusals import PAUSE
from jobs.models import JobKind, Refusal
from jobsite.lib.badges import exact

#: How many callers a reason names.
CALLERS_NAMED = 5


def detect(now: datetime, kind: str | None = None) -> list[Finding]:
    """Find the kinds whose new jobs were refused a short time ago, and the installation where that was its own limit.

    With `kind` only that one. A limit that is gone refuses nothing any more.
    """
    rows = Refusal.objects.filter(last_at__gte=now - PAUSE).order_by("since", "pk")
    by_kind: dict[str, list[Refusal]] = {}
    for row in rows if kind is None else rows.filter(kind=kind):
        by_kind.setdefault(row.kind, []).append(row)
    limited = JobKind.objects.filter(pk__in=by_kind, max_pending__isnull=False)
    limits = dict(limited.values_list("pk", "max_pending")) | {ALL: settings.MAX_PENDING}
    return [_finding(name, limits[name] or 0, found) for name, found in by_kind.items() if limits.get(name)]


def _finding(kind: str, limit: int, rows: list[Refusal]) -> Finding:
    jobs, setting = ("jobs", "`MAX_PENDING`") if kind == ALL else (f"{kind} jobs", "its `max_pending`")
    callers = "; ".join(f"{row.by}{f' with key {row.key}' if row.key else ''}" for row in rows[:CALLERS_NAMED])
    more = f"; and {len(rows) - CALLERS_NAMED} more" if len(rows) > CALLERS_NAMED else ""
    reason = (
        f"The limit of {limit} pending {jobs} ({setting}) is reached. Since {exact(rows[0].since)} new ones of these "
        f"are refused: {callers}{more}."
    )
    severity = Severity.CRITICAL if kind == ALL else Severity.WARNING
    return Finding(Cause.REFUSED, kind, severity, f"New {jobs} are refused: too many are pending", reason, kind)
