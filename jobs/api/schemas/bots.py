"""What bots and operators send and get about bots, and about what is stuck."""

from datetime import datetime

from pydantic import BaseModel, Field

from bots.models import MAX_CLAIM, NAME_LENGTH
from bots.states import BotStatus, HealthStatus
from jobs.api.schemas.fields import MAX_KINDS, Instance, Kind, Lease, Version
from jobs.api.schemas.jobs import JobOut, ReasonIn
from jobsite.lib.params import Input

#: The most leases that a process names when it says what it holds.
MAX_HOLDS = 10_000


class ExpectIn(ReasonIn):
    expected: bool


class BotHeartbeatIn(Input):
    version: Version | None = None


class HelloIn(Input):
    instance: Instance
    version: Version | None = None
    alone: bool = True
    holds: list[Lease] | None = Field(
        None, max_length=MAX_HOLDS, description="For a process that goes on: the leases it knows of."
    )


class BotIn(Input):
    name: str = Field(min_length=1, max_length=NAME_LENGTH, pattern=r"\S")
    kinds: list[Kind] = Field(default_factory=list, max_length=MAX_KINDS)
    capacity: int | None = Field(None, ge=1, le=MAX_CLAIM)
    expected: bool = True


class BotHeartbeatOut(BaseModel):
    paused: bool
    restart: bool


class HelloOut(BaseModel):
    bot_id: int
    name: str
    instance: str
    released: list[int]
    paused: bool
    restart: bool


class BotOut(BaseModel):
    id: int
    name: str
    status: BotStatus
    health_status: HealthStatus
    health_reason: str
    stuck_job: int | None
    last_seen_at: datetime | None
    kinds: list[str]
    capacity: int | None
    expected: bool
    paused: bool
    quarantined: bool
    quarantine_reason: str
    version: str
    created_at: datetime


class NewBotOut(BotOut):
    token: str


class BotsOut(BaseModel):
    bots: list[BotOut]
    next_cursor: str | None


class BotChangeOut(BaseModel):
    bot_id: int
    status: str
    message: str
    released: list[int] = []


class StuckJobOut(JobOut):
    reason: str


class StuckSummary(BaseModel):
    jobs: int
    bots: int
    potentially_stuck: int
    unhealthy: int
    down: int


class StuckOut(BaseModel):
    jobs: list[StuckJobOut]
    bots: list[BotOut]
    summary: StuckSummary
