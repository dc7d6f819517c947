"""The answers about schedules.

Made from the OpenAPI document by `python -m tests.contract.surface`: do not change it by hand.
"""

from datetime import datetime
from typing import Any, Literal, TypedDict

Overlap = Literal["skip", "allow", "queue"]
CatchUp = Literal["last", "none", "all"]
Fate = Literal["enqueued", "waiting", "skipped", "missed", "caught_up"]


class OccurrenceOut(TypedDict):
    """One moment of a schedule and its fate; or several that have the same, from `due_at` to `until_at`. `job` is the
    one that was made, or the one that stood in the way.
    """

    due_at: datetime
    until_at: datetime
    count: int
    fate: Fate
    job: int | None
    reason: str
    at: datetime


class ScheduleOut(TypedDict):
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


class SchedulesOut(TypedDict):
    schedules: list[ScheduleOut]
    next_cursor: str | None


class PreviewOut(TypedDict):
    """What a rule means: its next occurrences, and in words."""

    occurrences: list[datetime]
    words: str


class _ScheduleChangeOut(TypedDict):
    schedule: str
    status: str
    message: str


class ScheduleChangeOut(_ScheduleChangeOut, total=False):
    """What was done to a schedule. `occurrence`: the one that was run or skipped."""

    occurrence: OccurrenceOut | None


class OccurrencesOut(TypedDict):
    occurrences: list[OccurrenceOut]
    next_cursor: str | None
