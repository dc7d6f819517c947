"""Detect schedules whose last moment was missed: it came, and no job was made."""

from alerts.incidents.detectors import Finding
from alerts.states import Cause, Severity
from jobs.models import ScheduleOccurrence
from jobs.schedules import ledger
from jobs.states import Fate
from jobsite.lib.badges import exact


def detect() -> list[Finding]:
    """Find schedules whose newest occurrence that was not skipped was missed. It is over with the next job."""
    rows = ScheduleOccurrence.objects.filter(schedule__in=ledger.missed(), fate=Fate.MISSED)
    newest = rows.order_by("schedule__name", "-due_at").distinct("schedule__name").select_related("schedule")
    return [_finding(row) for row in newest]


def _finding(row: ScheduleOccurrence) -> Finding:
    name, kind = row.schedule.name, row.schedule.kind
    many = f"{row.count} moments of it, the last at" if row.count > 1 else "Its moment at"
    were = "were" if row.count > 1 else "was"
    reason = f"{many} {exact(row.until_at)}, {were} missed. {row.reason}"
    return Finding(Cause.SCHEDULE_MISSED, name, Severity.WARNING, f"Schedule {name} was missed", reason, kind)
