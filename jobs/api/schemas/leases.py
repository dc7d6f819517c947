"""What bots send and get about leases: claims, reports, and both in an exchange."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from bots.models import MAX_CLAIM
from jobs.api.schemas.fields import ERROR_LENGTH, MAX_KINDS, Attempt, JobId, SlotsIn
from jobs.bounds import NOTE_LENGTH
from jobs.enqueue.new_job import Kind
from jobs.states import JobStatus
from jobsite.lib.params import Input


class ExchangeClaimIn(Input):
    """The claim of an exchange."""

    limit: int = Field(1, ge=1, le=MAX_CLAIM, description="How many jobs at most.", examples=[2])
    kinds: list[Kind] | None = Field(
        None, max_length=MAX_KINDS, description="Only these kinds, among those the bot takes.", examples=[["sum"]]
    )
    wait: float = Field(0, ge=0, le=30, description="Seconds to hold the call open until there is a job.")
    start: bool = Field(True, description="`false`: only claim; call `start` when work begins.")


class ClaimIn(ExchangeClaimIn):
    slots: SlotsIn | None = None


class LeaseIn(Input):
    attempt: Attempt


class HeartbeatIn(LeaseIn):
    progress: int | None = Field(None, ge=0, le=100, description="In percent.", examples=[40])
    note: str | None = Field(
        None, max_length=NOTE_LENGTH, description="Shown beside the progress.", examples=["page 4"]
    )


class CompleteIn(LeaseIn):
    result: Any = Field(None, description="Any JSON.", examples=[{"sum": 3}])


class FailIn(LeaseIn):
    error: str = Field(max_length=ERROR_LENGTH, examples=["no file"])
    retry: bool = Field(True, description="`false`: the job fails for good.")


class HeartbeatItem(HeartbeatIn):
    id: JobId


class CompleteItem(CompleteIn):
    id: JobId


class FailItem(FailIn):
    id: JobId


class ExchangeIn(Input):
    """A bot's whole turn. A job is named once at most."""

    completed: list[CompleteItem] = Field(
        default_factory=list,
        max_length=MAX_CLAIM,
        description="As `complete`, with the job's `id`.",
        examples=[[{"id": 17, "attempt": 1, "result": {"sum": 3}}]],
    )
    failed: list[FailItem] = Field(
        default_factory=list,
        max_length=MAX_CLAIM,
        description="As `fail`, with the job's `id`.",
        examples=[[{"id": 18, "attempt": 1, "error": "no file", "retry": False}]],
    )
    heartbeats: list[HeartbeatItem] = Field(
        default_factory=list,
        max_length=MAX_CLAIM,
        description="As `heartbeat` of a job, with its `id`.",
        examples=[[{"id": 19, "attempt": 2, "progress": 40}]],
    )
    claim: ExchangeClaimIn | None = Field(
        None, description="Without it nothing is claimed.", examples=[{"limit": 2, "kinds": ["sum"]}]
    )
    slots: SlotsIn | None = None


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
    paused: bool
    restart: bool


class ReportOut(BaseModel):
    status: str
    job_id: int
    attempt: int
    paused: bool
    restart: bool
