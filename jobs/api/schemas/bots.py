"""What bots and operators send and get about bots, and about what is stuck."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field, model_validator

from bots.models import MAX_CLAIM, NAME_LENGTH
from bots.states import BotStatus, HealthStatus
from jobs.api.schemas.fields import MAX_KINDS, Identity, Instance, Lease, SlotsIn, Version
from jobs.api.schemas.jobs import JobOut, ReasonIn
from jobs.enqueue.new_job import Kind, Moment
from jobsite.lib.params import Input

#: The most leases that a process names when it says what it holds.
MAX_HOLDS = 10_000


class ExpectIn(ReasonIn):
    expected: bool


class InstanceIn(ReasonIn):
    instance: Identity | None = Field(None, description="Only this instance of the bot.")


class PauseIn(InstanceIn):
    until: Moment | None = Field(None, description="When the pause ends by itself.")


class BotHeartbeatIn(Input):
    version: Version | None = Field(None, description="Shown to operators.")
    holds: list[Lease] | None = Field(
        None,
        max_length=MAX_HOLDS,
        description="The leases that the process works on: the answer names those it lost.",
        examples=[[[17, 1], [19, 2]]],
    )
    slots: SlotsIn | None = None


class HelloIn(Input):
    instance: Instance = Field(description="A name of this process, different at each start.")
    identity: Identity | None = Field(
        None,
        description="What stays the same when the process is started again. Older instances of it are replaced.",
        examples=["pod-1"],
    )
    host: Version = Field("", description="Shown to operators.", examples=["host7"])
    pid: int | None = Field(None, ge=0, le=2**31 - 1, description="Shown to operators.", examples=[4711])
    version: Version | None = Field(None, description="Shown to operators.", examples=["1.4"])
    alone: bool = Field(
        True,
        description="Without `identity`. `true`: it is empty, for a bot of one process; `false`: the instance's name.",
    )
    holds: list[Lease] | None = Field(
        None, max_length=MAX_HOLDS, description="For a process that goes on: the leases it knows of."
    )
    slots: SlotsIn | None = None
    kinds: list[Kind] | None = Field(
        None,
        max_length=MAX_KINDS,
        description="The kinds it is going to claim: the answer warns of those it cannot get.",
        examples=[["sum"]],
    )

    @model_validator(mode="after")
    def _one_identity(self) -> Self:
        if self.identity is not None and not self.alone:
            raise ValueError("give `identity` or `alone: false`, and not both")
        return self


class GoodbyeIn(Input):
    instance: Instance


class BotIn(Input):
    name: str = Field(min_length=1, max_length=NAME_LENGTH, pattern=r"\S", examples=["carl"])
    kinds: list[Kind] = Field(
        default_factory=list, max_length=MAX_KINDS, description="The kinds it may take; none: any.", examples=[["sum"]]
    )
    capacity: int | None = Field(
        None, ge=1, le=MAX_CLAIM, description="How many jobs it may hold at once.", examples=[4]
    )
    expected: bool = Field(True, description="Whether an incident opens when it stops calling.")


class OrdersOut(BaseModel):
    """What operators want of an instance. Every answer to a bot has it."""

    paused: bool
    restart: bool


class BotHeartbeatOut(OrdersOut):
    lost: list[tuple[int, int]] = Field(description="Of `holds`, the leases that are no longer this bot's.")
    cancel: list[tuple[int, int]] = Field(description="Of these, those whose jobs an operator has cancelled.")


class HelloOut(OrdersOut):
    bot_id: int
    name: str
    instance: str
    kinds: list[str] = Field(description="The kinds that the bot may take; an empty list: any.")
    capacity: int | None
    released: list[int] = Field(description="Jobs that were released: of older instances, or not in `holds`.")
    warnings: list[str] = Field(
        description="Sentences about kinds that it cannot get.",
        examples=[["No job of kind smu has ever been enqueued. Is its name right?"]],
    )


class GoodbyeOut(OrdersOut):
    instance: str
    released: list[int]


class InstanceOut(BaseModel):
    """One process of a bot. The name is empty for processes that never call hello."""

    name: str
    identity: str
    host: str
    pid: int | None
    version: str
    started_at: datetime
    last_seen_at: datetime
    asked_kinds: list[str] | None
    slots: int | None
    slots_lost: int
    ended_at: datetime | None
    replaced_by: str
    restart: bool
    paused: bool
    paused_until: datetime | None
    pause_reason: str
    quarantined_at: datetime | None
    quarantine_reason: str
    probe_at: datetime | None


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
    paused_until: datetime | None
    pause_reason: str
    quarantined: bool
    quarantine_reason: str
    version: str
    created_at: datetime


class OneBotOut(BotOut):
    instances: list[InstanceOut]


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
