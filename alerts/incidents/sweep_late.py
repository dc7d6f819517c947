"""The dead man's switch: does the sweep still run? Asked of its record, so that every process can say at once."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db.models import DurationField, ExpressionWrapper, F, Min
from django.db.models.functions import Now

from alerts.incidents.detectors import Found
from alerts.states import Cause, Severity
from bots.models import Bot
from jobs.models import SweepRun
from jobsite.lib.durations import words


@dataclass(frozen=True)
class Standing:
    """How it stands with the sweep. `last`: when one of all kinds last finished; None: none ever has.

    `unswept`: for how long none has; where none ever has, since the first bot was registered. None: nor is there a bot.
    """

    last: datetime | None
    unswept: timedelta | None

    @property
    def late(self) -> bool:
        """Whether a sweep should have finished by now."""
        return self.unswept is not None and self.unswept > settings.SWEEP_LATE_AFTER

    def __str__(self) -> str:
        last = self.last and f"last finished {self.last.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        ago = f", {words(self.unswept)} ago" if self.last and self.unswept is not None else ""
        return f"{last or 'none has ever finished'}{ago}"


def standing() -> Standing:
    """How it stands with the sweep now, by the database's clock. One query, or two where none has ever finished."""
    age = ExpressionWrapper(Now() - F("finished_at"), output_field=DurationField())
    for last, unswept in SweepRun.objects.values_list("finished_at", age):
        return Standing(last, unswept)
    waiting = ExpressionWrapper(Now() - Min("created_at"), output_field=DurationField())
    return Standing(None, Bot.objects.aggregate(waiting=waiting)["waiting"])


def late() -> list[Found]:
    """That no sweep runs, if so."""
    now = standing()
    if not now.late or now.unswept is None:
        return []
    return [_found("The sweep does not run", f"No sweep has finished for {words(now.unswept)}: {now}.")]


def gap(before: Standing | None) -> list[Found]:
    """That no sweep had run for too long when this one began, if so. `before`: how it stood then."""
    if before is None or not before.late or before.unswept is None:
        return []
    return [_found("The sweep did not run", f"No sweep had finished for {words(before.unswept)} when this one began.")]


def _found(title: str, reason: str) -> Found:
    limit = words(settings.SWEEP_LATE_AFTER)
    why = f"{reason} Limit {limit}. Without it stuck bots are not noticed, and their jobs do not go back."
    return Found(Cause.UNSWEPT, "", Severity.CRITICAL, title, why)
