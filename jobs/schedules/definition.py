"""Validate schedules as people send them: the rules for each field, and how a schedule is written back."""

import re
from datetime import timedelta
from itertools import islice
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from bots.models import NAME_LENGTH
from jobs.bounds import MAX_DURATION, PRIORITY_LIMIT
from jobs.enqueue.new_job import Group, Key, Kind, Moment, Payload
from jobs.models import Schedule
from jobs.schedules.models import MIN_EVERY, NAME_PATTERN, NAME_RULE
from jobs.schedules.timing import CRON_LENGTH, Timing, line_fault, zone_fault
from jobs.states import CatchUp, Overlap
from jobsite.lib.clock import database_now
from jobsite.lib.params import Input

#: The fields of a schedule that people set, in the order in which they are written.
FIELDS = (
    "kind", "payload", "priority", "group", "key", "cron", "every", "time_zone", "overlap", "catch_up",
    "catch_up_within", "starts_at", "ends_at",
)  # fmt: skip
#: Those that say when it fires.
TIMING = ("cron", "every", "time_zone", "starts_at", "ends_at")
#: How many occurrences a preview has.
PREVIEWED = 10
EITHER = "Give a cron line (`cron`) or an interval (`every`), and not both."
ORDER = "The end is before the start."


def _line(text: str) -> str:
    if text and (message := line_fault(text)):
        raise PydanticCustomError("cron", "{fault}", {"fault": message})
    return " ".join(text.split())


def _zone(text: str) -> str:
    if message := zone_fault(text):
        raise PydanticCustomError("zone", "{fault}", {"fault": message})
    return text


def _name(text: str) -> str:
    if not re.match(NAME_PATTERN, text):
        raise PydanticCustomError("name", "{fault}", {"fault": NAME_RULE})
    return text


MAX_SECONDS = MAX_DURATION // timedelta(seconds=1)
Name = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH), AfterValidator(_name)]


class TimingIn(Input):
    """When a schedule fires: a cron line or an interval. Durations are in seconds."""

    cron: Annotated[str, Field(max_length=CRON_LENGTH), AfterValidator(_line)] = Field(
        "", description="Minute, hour, day of the month, month, day of the week.", examples=["0 3 * * MON-FRI"]
    )
    every: int | None = Field(
        None,
        ge=MIN_EVERY.seconds,
        le=MAX_SECONDS,
        description="In place of `cron`: an interval, counted from `starts_at`, or from when the schedule was made.",
    )
    time_zone: Annotated[str, AfterValidator(_zone)] = Field(
        "UTC", max_length=64, description="Of `cron`, by its IANA name.", examples=["Europe/Berlin"]
    )
    starts_at: Moment | None = Field(
        None, description="No occurrence before this moment.", examples=["2030-01-07T00:00:00Z"]
    )
    ends_at: Moment | None = Field(None, description="No occurrence after this moment.")

    @model_validator(mode="after")
    def _agrees(self) -> "TimingIn":
        if bool(self.cron) == (self.every is not None):
            raise PydanticCustomError("timing", "{fault}", {"fault": EITHER})
        if self.starts_at is not None and self.ends_at is not None and self.ends_at < self.starts_at:
            raise PydanticCustomError("timing", "{fault}", {"fault": ORDER})
        return self

    def to_values(self) -> dict[str, Any]:
        """The same as the columns of `Schedule` have it."""
        values = self.model_dump()
        return values | {"every": None if self.every is None else timedelta(seconds=self.every)}


class ScheduleIn(TimingIn):
    """A schedule as people send it. What is left out is as it is by default, whatever it was before."""

    kind: Kind = Field(examples=["report"])
    payload: Payload = Field(default_factory=dict, description="Any JSON.")
    priority: int = Field(0, ge=-PRIORITY_LIMIT, le=PRIORITY_LIMIT, description="Higher goes first.")
    group: Group | None = Field(None, description="The group of each of its jobs.")
    key: Key | None = Field(
        None, description="The idempotency key of each of its jobs. While a job has it, occurrences are skipped."
    )
    overlap: Annotated[Overlap, Field(strict=False)] = Field(
        Overlap.SKIP, description="What becomes of an occurrence while a job of this schedule has not ended."
    )
    catch_up: Annotated[CatchUp, Field(strict=False)] = Field(
        CatchUp.LAST, description="Which of the occurrences are made up for that could not be fired in time."
    )
    catch_up_within: int = Field(3600, ge=0, le=MAX_SECONDS, description="For how long after their time.")

    def to_values(self) -> dict[str, Any]:
        """The same as the columns of `Schedule` have it."""
        within = timedelta(seconds=self.catch_up_within)
        return super().to_values() | {"key": self.key or "", "group": self.group or "", "catch_up_within": within}


class NamedScheduleIn(ScheduleIn):
    """A schedule in a file."""

    name: Name


def written(schedule: Schedule) -> dict[str, Any]:
    """A schedule's fields as `ScheduleIn` has them."""
    seconds = {"every": schedule.every, "catch_up_within": schedule.catch_up_within}
    durations = {name: None if value is None else value // timedelta(seconds=1) for name, value in seconds.items()}
    return (
        {name: getattr(schedule, name) for name in FIELDS}
        | durations
        | {
            "key": schedule.key or None,
            "group": schedule.group or None,
        }
    )


def preview(given: TimingIn) -> dict[str, Any]:
    """What a rule means in words, and its next occurrences."""
    now = database_now()
    timing = timing_of(given, now)
    return {"occurrences": list(islice(timing.after(now), PREVIEWED)), "words": timing.words()}


def timing_of(given: TimingIn, now: Any) -> Timing:
    """The rule of a schedule that is made now."""
    values = given.to_values()
    anchor = values["starts_at"] or now
    return Timing(values["cron"], values["every"], values["time_zone"], anchor, values["starts_at"], values["ends_at"])
