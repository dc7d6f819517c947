"""Detect schedules whose last moment was missed: it came, and no job was made."""

from alerts.incidents.detectors import Finding
from alerts.states import Cause, Severity
from jobs.models import ScheduleOccurrence
from jobs.schedules import ledger
from jobs.states import Fate
from jobsite.lib.badges import exact


def detect() -> list[Finding]:
    """Find schedules whose newest occurrence that was not skipped was missed. It is over with the next job."""
    return [_finding(schedule.name, schedule.kind, schedule.pk) for schedule in ledger.missed().order_by("name")]


def _finding(name: str, kind: str, pk: int) -> Finding:
    row = ScheduleOccurrence.objects.filter(schedule=pk, fate=Fate.MISSED).order_by("-due_at")[0]
    many = f"{row.count} moments of it, the last at" if row.count > 1 else "Its moment at"
    were = "were" if row.count > 1 else "was"
    reason = f"{many} {exact(row.until_at)}, {were} missed. {row.reason}"
    return Finding(Cause.SCHEDULE_MISSED, name, Severity.WARNING, f"Schedule {name} was missed", reason, kind)
