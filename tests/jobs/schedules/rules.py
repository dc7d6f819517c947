"""Schedules as tests have them: one that nobody has fired for a while, and what became of its moments."""

from datetime import datetime, timedelta
from typing import Any

from jobs.models import Job, Schedule, ScheduleOccurrence
from jobs.schedules import changes
from jobs.schedules.definition import ScheduleIn
from jobs.schedules.firing import Firing
from jobsite.lib.clock import database_now

SECONDS = timedelta(seconds=1)


def a_schedule(name: str = "nightly", **given: Any) -> Schedule:
    """A new schedule; by default every minute, of report jobs."""
    timing = {} if "cron" in given else {"every": 60}
    return changes.put(name, ScheduleIn.model_validate({"kind": "report"} | timing | given).to_values()).schedule


def off_for(ago: timedelta, name: str = "nightly", **given: Any) -> Schedule:
    """A schedule by an interval whose first moment was so long ago, and that nobody has fired since."""
    start = database_now() - ago
    schedule = a_schedule(name, **({"starts_at": start} | given))
    Schedule.objects.filter(pk=schedule.pk).update(next_at=start, created_at=start)
    return Schedule.objects.get(pk=schedule.pk)


def due_at(at: datetime, name: str = "nightly", **given: Any) -> Schedule:
    """A schedule by a cron line whose next moment is this one."""
    schedule = a_schedule(name, **given)
    Schedule.objects.filter(pk=schedule.pk).update(next_at=at, created_at=at)
    return Schedule.objects.get(pk=schedule.pk)


def fire() -> None:
    """What the thread of a web process does, and the sweep."""
    Firing().fire_due()


def ledger(name: str = "nightly") -> list[tuple[str, int]]:
    """The fates of a schedule's moments in their order, and how many each row has."""
    rows = ScheduleOccurrence.objects.filter(schedule__name=name).order_by("due_at")
    return [(row.fate, row.count) for row in rows]


def last(name: str = "nightly") -> ScheduleOccurrence:
    """The newest row."""
    return ScheduleOccurrence.objects.filter(schedule__name=name).order_by("-due_at")[0]


def jobs_of(name: str = "nightly") -> list[Job]:
    """The jobs that a schedule made."""
    return list(Job.objects.filter(schedule=name).order_by("pk"))
