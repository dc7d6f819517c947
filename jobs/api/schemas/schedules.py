"""What people send and get about schedules. What they may send as a schedule is in `jobs.schedules.definition`."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from jobs.api.schemas.jobs import ReasonIn
from jobs.enqueue.new_job import Moment
from jobs.states import CatchUp, Fate, Overlap


class PauseScheduleIn(ReasonIn):
    until: Annotated[Moment | None, Field(description="It resumes by itself at this moment. Without it: never.")] = None


class OccurrenceOut(BaseModel):
    """One moment of a schedule and its fate; or several that have the same, from `due_at` to `until_at`.

    `job` is the one that was made, or the one that stood in the way.
    """

    due_at: datetime
    until_at: datetime
    count: int
    fate: Fate
    job: int | None
    reason: str
    at: datetime


class OccurrencesOut(BaseModel):
    occurrences: list[OccurrenceOut]
    next_cursor: str | None


class ScheduleOut(BaseModel):
    """A schedule. Durations are in seconds. `next_at` is its first moment without a fate, `last` its last with one.

    Without the permission `jobs.view_payload` the fields that `hidden` names are null.
    """

    name: str
    kind: str
    payload: Any
    priority: int
    group: str | None
    key: str | None
    cron: str
    every: int | None
    time_zone: str
    words: str
    overlap: Overlap
    catch_up: CatchUp
    catch_up_within: int
    starts_at: datetime | None
    ends_at: datetime | None
    paused: bool
    paused_until: datetime | None
    pause_reason: str
    next_at: datetime | None
    last: OccurrenceOut | None
    source: str
    created_at: datetime
    hidden: list[str]


class SchedulesOut(BaseModel):
    schedules: list[ScheduleOut]
    next_cursor: str | None


class ScheduleChangeOut(BaseModel):
    """What was done to a schedule. `occurrence`: the one that was run or skipped."""

    schedule: str
    status: str
    message: str
    occurrence: OccurrenceOut | None = None


class PreviewOut(BaseModel):
    """What a rule means: its next occurrences, and in words."""

    occurrences: list[datetime]
    words: str
