"""What goes in and what comes out. Input is strict: unknown fields and wrong types are refused by name."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from bots.models import MAX_CLAIM, NAME_LENGTH
from bots.states import BotStatus, HealthStatus
from jobs.enqueue.new_job import JobIn
from jobs.models import KIND_PATTERN, NOTE_LENGTH, REASON_LENGTH
from jobs.states import JobStatus
from jobsite.lib.params import MAX_ID, Input

#: The most jobs one bulk call takes.
MAX_BULK = 10_000
#: How long the text of an error may be.
ERROR_LENGTH = 65_536
#: The most kinds one call may name.
MAX_KINDS = 200

Kind = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH, pattern=KIND_PATTERN.replace(r"\Z", "$"))]
Attempt = Annotated[int, Field(ge=1, le=2**31 - 1, description="The attempt, as the claim gave it.")]


class ClaimIn(Input):
    limit: int = Field(1, ge=1, le=MAX_CLAIM)
    kinds: list[Kind] | None = Field(None, max_length=MAX_KINDS)
    wait: float = Field(0, ge=0, le=30, description="Seconds to hold the call open until there is a job.")
    start: bool = True


class LeaseIn(Input):
    attempt: Attempt


class HeartbeatIn(LeaseIn):
    progress: int | None = Field(None, ge=0, le=100)
    note: str | None = Field(None, max_length=NOTE_LENGTH)


class CompleteIn(LeaseIn):
    result: Any = None


class FailIn(LeaseIn):
    error: str = Field(max_length=ERROR_LENGTH)
    retry: bool = True


JobId = Annotated[int, Field(ge=1, le=MAX_ID)]


class HeartbeatItem(HeartbeatIn):
    id: JobId


class CompleteItem(CompleteIn):
    id: JobId


class FailItem(FailIn):
    id: JobId


class ExchangeIn(Input):
    """A bot's whole turn. A job is named once at most."""

    completed: list[CompleteItem] = Field(default_factory=list, max_length=MAX_CLAIM)
    failed: list[FailItem] = Field(default_factory=list, max_length=MAX_CLAIM)
    heartbeats: list[HeartbeatItem] = Field(default_factory=list, max_length=MAX_CLAIM)
    claim: ClaimIn | None = None


class ReleaseIn(Input):
    """A bot gives its `attempt`; an operator gives a `reason`."""

    attempt: Attempt | None = None
    reason: str = Field("", max_length=REASON_LENGTH)


class ReasonIn(Input):
    reason: str = Field("", max_length=REASON_LENGTH)


class ExpectIn(ReasonIn):
    expected: bool


class BotHeartbeatIn(Input):
    version: str | None = Field(None, max_length=100)


class HelloIn(Input):
    instance: str = Field(min_length=1, max_length=100)
    version: str | None = Field(None, max_length=100)
    alone: bool = True


class BulkIn(Input):
    jobs: list[JobIn] = Field(min_length=1, max_length=MAX_BULK)


class BotIn(Input):
    name: str = Field(min_length=1, max_length=NAME_LENGTH, pattern=r"\S")
    kinds: list[Kind] = Field(default_factory=list, max_length=MAX_KINDS)
    capacity: int | None = Field(None, ge=1, le=MAX_CLAIM)
    expected: bool = True


class LeaseOut(BaseModel):
    """One job as its new holder gets it."""

    id: int
    kind: str
    attempt: int
    max_attempts: int
    payload: Any
    priority: int
    key: str | None
    run_at: datetime
    deadline_at: datetime


class ClaimOut(BaseModel):
    jobs: list[LeaseOut]
    paused: bool
    restart: bool


class RejectedOut(BaseModel):
    """A report that did not hold, and why: as in the problem that the single call answers with."""

    id: int
    attempt: int
    code: str
    detail: str
    ended_by: str | None = None
    ended_at: str | None = None
    reason: str | None = None
    verb: str | None = None
    cancel: bool = False


class ExchangeOut(BaseModel):
    accepted: list[int]
    rejected: list[RejectedOut]
    cancel: list[int]
    jobs: list[LeaseOut]
    paused: bool
    restart: bool


class RenewedOut(BaseModel):
    job_id: int
    attempt: int
    status: JobStatus
    cancel: bool = False
    deadline_at: datetime
    restart: bool


class ReportOut(BaseModel):
    status: str
    job_id: int
    attempt: int


class BotHeartbeatOut(BaseModel):
    paused: bool
    restart: bool


class HelloOut(BaseModel):
    bot_id: int
    name: str
    instance: str
    released: list[int]
    paused: bool


class JobOut(BaseModel):
    """One job as operators and producers see it. `bot` names who holds it."""

    id: int
    kind: str
    status: JobStatus
    payload: Any
    priority: int
    run_at: datetime
    key: str | None
    attempt: int
    max_attempts: int
    claimed_by: int | None
    bot: str | None
    claimed_at: datetime | None
    started_at: datetime | None
    heartbeat_at: datetime | None
    deadline_at: datetime | None
    finished_at: datetime | None
    created_at: datetime
    progress: int | None
    progress_note: str
    result: Any
    error: str


class JobsOut(BaseModel):
    jobs: list[JobOut]
    next_cursor: str | None


class EventOut(BaseModel):
    id: int
    job_id: int
    attempt: int
    verb: str
    from_status: str
    to_status: str
    bot_id: int | None
    actor: str
    by: str
    reason: str
    at: datetime
    detail: Any


class EventsOut(BaseModel):
    events: list[EventOut]


class EvidenceOut(BaseModel):
    """One thing that was looked at: what was found in words, and the figures; durations are in seconds."""

    about: str
    says: str
    figures: dict[str, Any]


class ExplainedOut(BaseModel):
    """Why a job is where it is: `why` in a sentence or two, and the evidence under it."""

    job: int
    kind: str
    status: JobStatus
    why: str
    evidence: list[EvidenceOut]


class BadLineOut(BaseModel):
    line: int
    message: str


class BulkOut(BaseModel):
    """`ids` are those of all jobs in the order given; null when NDJSON had more than a JSON body may have.

    `bad` and `errors` are only there with `?bad=skip`: how many lines were left out, and the first of them.
    """

    created: int
    existing: int
    ids: list[int] | None
    bad: int = 0
    errors: list[BadLineOut] = []


class ChangeOut(BaseModel):
    """What an operator's verb did to a job. `bot_id` is who held it."""

    status: str
    job_id: int
    bot_id: int | None
    previous_status: str
    message: str


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


class Problem(BaseModel):
    """RFC 9457, with `code` for programs; some problems bring further members."""

    type: str
    title: str
    status: int
    detail: str
    code: str
