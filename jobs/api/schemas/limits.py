"""What bots and operators send and get about limits, and what those who start bots get."""

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


class WorkloadOut(BaseModel):
    """How many jobs of a kind there are for bots. `jobs`: held and due ones, as far as the kind's limit allows."""

    kind: str
    jobs: int
    due: int
    held: int


class ScaleOut(BaseModel):
    """The sums, and each kind by itself."""

    jobs: int
    due: int
    held: int
    kinds: list[WorkloadOut]
