"""What bots and operators send and get about limits."""

from datetime import datetime

from pydantic import BaseModel, Field

from jobs.bounds import MAX_THROTTLE, REASON_LENGTH
from jobs.enqueue.new_job import Group, Kind
from jobsite.lib.params import Input


class ThrottleIn(Input):
    """`for`: how many seconds none of these jobs is claimed. An operator lifts a throttle with 0."""

    kind: Kind
    group: Group | None = None
    seconds: float = Field(alias="for", ge=0, le=MAX_THROTTLE)
    reason: str = Field("", max_length=REASON_LENGTH)


class ThrottleOut(BaseModel):
    """`shut_until`: when these jobs are claimed again; null: now. Only a bot gets `paused` and `restart`."""

    kind: str
    group: str | None
    shut_until: datetime | None
    paused: bool = False
    restart: bool = False
