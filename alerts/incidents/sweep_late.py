"""Detect that the sweep is overdue, from the record each full sweep leaves. Any process can ask."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db.models import DurationField, ExpressionWrapper, F, Min
from django.db.models.functions import Now

from alerts.incidents.detectors import Finding
from alerts.states import Cause, Severity
from bots.models import Bot
from jobs.models import SweepRun
from jobsite.lib.durations import words


@dataclass(frozen=True)
class SweepStatus:
    """When a full sweep last finished. `last`: None if none ever has.

    `unswept`: the time since then or, if no sweep ever finished, since the first bot was registered. None without bots.
    """

    last: datetime | None
    unswept: timedelta | None

    @property
    def overdue(self) -> bool:
        """Whether a sweep should have finished by now."""
        return self.unswept is not None and self.unswept > settings.SWEEP_LATE_AFTER

    def __str__(self) -> str:
        last = self.last and f"last finished {self.last.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        ago = f", {words(self.unswept)} ago" if self.last and self.unswept is not None else ""
        return f"{last or 'none has ever finished'}{ago}"


def status() -> SweepStatus:
    """Return the sweep's status now, by the database's clock. One query, or two if no sweep ever finished."""
    age = ExpressionWrapper(Now() - F("finished_at"), output_field=DurationField())
    for last, unswept in SweepRun.objects.values_list("finished_at", age):
        return SweepStatus(last, unswept)
    waiting = ExpressionWrapper(Now() - Min("created_at"), output_field=DurationField())
    return SweepStatus(None, Bot.objects.aggregate(waiting=waiting)["waiting"])


def detect_overdue() -> list[Finding]:
    """Find that no sweep runs now."""
    now = status()
    if not now.overdue or now.unswept is None:
        return []
    return [_finding("The sweep does not run", f"No sweep has finished for {words(now.unswept)}: {now}.")]


def detect_gap(before: SweepStatus | None) -> list[Finding]:
    """Find that no sweep had run for too long when this one began. `before`: the status then."""
    if before is None or not before.overdue or before.unswept is None:
        return []
    return [
        _finding("The sweep did not run", f"No sweep had finished for {words(before.unswept)} when this one began.")
    ]


def _finding(title: str, reason: str) -> Finding:
    limit = words(settings.SWEEP_LATE_AFTER)
    why = f"{reason} Limit {limit}. Without the sweep, stuck bots go unnoticed and their jobs are not released."
    return Finding(Cause.UNSWEPT, "", Severity.CRITICAL, title, why)
