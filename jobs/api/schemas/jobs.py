"""What producers and operators send and get about jobs."""

from datetime import datetime
from typing import Annotated, Any

from django.conf import settings
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from jobs.api.schemas.fields import MAX_BULK, MAX_KINDS, Attempt, Delay, JobId
from jobs.bounds import REASON_LENGTH
from jobs.enqueue.new_job import Group, JobIn, Key, Kind, Moment, Payload
from jobs.states import Added, JobStatus, Unique
from jobsite.lib.names import names_in
from jobsite.lib.params import Input
from jobsite.lib.strict_json import first_fault


class ReleaseIn(Input):
    """A bot gives its `attempt`, and `run_in` if it defers the job; an operator a `reason`, and `to_another`."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"attempt": 1, "reason": "shutting down"}, {"reason": "ada hangs"}]}
    )

    attempt: Attempt | None = None
    reason: str = Field("", max_length=REASON_LENGTH)
    run_in: Delay | None = Field(None, description="Seconds until the job is due again: the bot defers it.")
    to_another: bool = Field(False, description="For ten minutes no process gets the job that held it.")


class EditIn(Input):
    """What a pending job gets. What is left out stays."""

    run_at: Moment | None = Field(None, description="When it is due.", examples=["2026-11-05T09:00:00Z"])
    payload: Payload = Field(None, description="Any JSON.", examples=[{"numbers": [1, 2, 3]}])
    reason: str = Field("", max_length=REASON_LENGTH, description="Kept with the act.")


#: Where a call goes on with what the one before began.
Cursor = Annotated[str | None, Field(pattern="^[0-9]{1,18}$", description="`next_cursor` of the call before.")]


class ReasonIn(Input):
    reason: str = Field(
        "", max_length=REASON_LENGTH, description="Kept with the act.", examples=["the mail server is down"]
    )


def _several(value: Any) -> Any:
    # As in a query: `sum,mail`.
    try:
        return names_in(value) if isinstance(value, str) else value
    except ValueError as error:
        raise PydanticCustomError("names", "{fault}", {"fault": str(error)}) from None


#: What the document says of it besides: the list is that of the field.
SEVERAL = BeforeValidator(_several, json_schema_input_type=list[str] | str)


def _stored(value: Any) -> Any:
    if fault := first_fault(value, settings.MAX_PAYLOAD_BYTES):
        raise PydanticCustomError("json", "{fault}", {"fault": fault.message})
    return value


Status = Annotated[JobStatus, Field(strict=False)]


class FilterIn(Input):
    """Jobs by all of these conditions. Several values: a list, or with commas between."""

    ids: list[JobId] = Field(default_factory=list, max_length=1000)
    kind: Annotated[list[Kind], SEVERAL] = Field(default_factory=list, max_length=MAX_KINDS, examples=[["sum"]])
    status: Annotated[list[Status], SEVERAL] = Field(default_factory=list, max_length=len(JobStatus))
    key: Annotated[list[Key], SEVERAL] = Field(default_factory=list, max_length=1000)
    group: Annotated[list[Group], SEVERAL] = Field(default_factory=list, max_length=1000)
    payload: Annotated[dict[str, Any], AfterValidator(_stored)] = Field(
        default_factory=dict, description="What the payload contains."
    )
    created_before: Moment | None = None
    finished_before: Moment | None = None


class TakeBackIn(ReasonIn):
    cursor: Cursor = None


class DeleteIn(ReasonIn):
    filter: FilterIn
    dry_run: bool = Field(False, description="Delete nothing: only count.", examples=[True])
    most: int = Field(1000, ge=1, le=10_000, description="How many to delete at most.")
    cursor: Cursor = None


class DeletedOut(BaseModel):
    """How many jobs were deleted, or would be, and how many were left since a bot holds them."""

    deleted: int
    held: int
    dry_run: bool
    next_cursor: str | None


class BulkIn(Input):
    jobs: list[JobIn] = Field(min_length=1, max_length=MAX_BULK)


class JobOut(BaseModel):
    """One job as operators and producers see it. `bot` names who holds it.

    `schedule`: the one that made it, for its moment `scheduled_for`. Without the permission `jobs.view_payload` the
    fields that `hidden` names are null.
    """

    id: int
    kind: str
    status: JobStatus
    payload: Any
    priority: int
    run_at: datetime
    key: str | None
    unique: Unique
    attempt: int
    max_attempts: int
    start_by: datetime | None
    run_within: float | None
    heartbeat_within: float | None
    backoff: float | None
    deferrals: int
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
    error: str | None
    group: str | None
    schedule: str
    scheduled_for: datetime | None
    hidden: list[str]


class EnqueuedOut(JobOut):
    """The new job, or the one that has its key: `outcome` says which."""

    outcome: Added


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
    audit_id: int | None


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
    """How many jobs were created, existed already, and were replaced. `ids` and `outcomes`: of each job in the order
    given; null when NDJSON had more than a JSON body may have. Of several with the same key the last counts.

    `bad` and `errors` are only there with `?bad=skip`: how many lines were left out, and the first of them.
    """

    created: int
    existing: int
    replaced: int
    ids: list[int] | None
    outcomes: list[Added] | None
    bad: int = 0
    errors: list[BadLineOut] = []


class ChangeOut(BaseModel):
    """What an operator's verb did to a job. `bot_id` is who held it."""

    status: str
    job_id: int
    bot_id: int | None
    previous_status: str
    message: str
