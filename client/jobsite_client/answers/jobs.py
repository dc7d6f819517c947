"""The answers about jobs.

Made from the OpenAPI document by `python -m tests.contract.surface`: do not change it by hand.
"""

from datetime import datetime
from typing import Any, Literal, TypedDict

Added = Literal["created", "existing", "replaced"]
JobStatus = Literal["pending", "claimed", "processing", "succeeded", "failed", "cancelled"]
Unique = Literal["always", "unfinished", "pending"]


class ChangeOut(TypedDict):
    """What an operator's verb did to a job. `bot_id` is who held it."""

    status: str
    job_id: int
    bot_id: int | None
    previous_status: str
    message: str


class ReportOut(TypedDict):
    status: str
    job_id: int
    attempt: int
    paused: bool
    restart: bool


class _ThrottleOut(TypedDict):
    kind: str
    group: str | None
    shut_until: datetime | None


class ThrottleOut(_ThrottleOut, total=False):
    """`shut_until`: when these jobs are claimed again; null: now. Only a bot gets `paused` and `restart`."""

    paused: bool
    restart: bool


class BadLineOut(TypedDict):
    line: int
    message: str


class _BulkOut(TypedDict):
    created: int
    existing: int
    replaced: int
    ids: list[int] | None
    outcomes: list[Added] | None


class BulkOut(_BulkOut, total=False):
    """How many jobs were created, existed already, and were replaced. `ids` and `outcomes`: of each job in the order
    given; null when NDJSON had more than a JSON body may have. Of several with the same key the last counts. `bad`
    and `errors` are only there with `?bad=skip`: how many lines were left out, and the first of them.
    """

    bad: int
    errors: list[BadLineOut]


class DeletedOut(TypedDict):
    """How many jobs were deleted, or would be, and how many were left since a bot holds them."""

    deleted: int
    held: int
    dry_run: bool
    next_cursor: str | None


class JobOut(TypedDict):
    """One job as operators and producers see it. `bot` names who holds it. `schedule`: the one that made it, for its
    moment `scheduled_for`. Without the permission `jobs.view_payload` the fields that `hidden` names are null.
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


class JobsOut(TypedDict):
    jobs: list[JobOut]
    next_cursor: str | None


class EventOut(TypedDict):
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


class EventsOut(TypedDict):
    events: list[EventOut]


class EvidenceOut(TypedDict):
    """One thing that was looked at: what was found in words, and the figures; durations are in seconds."""

    about: str
    says: str
    figures: dict[str, Any]


class ExplainedOut(TypedDict):
    """Why a job is where it is: `why` in a sentence or two, and the evidence under it."""

    job: int
    kind: str
    status: JobStatus
    why: str
    evidence: list[EvidenceOut]


class WorkloadOut(TypedDict):
    """How many jobs of a kind there are for bots. `jobs`: held and due ones, as far as the kind's limit allows."""

    kind: str
    jobs: int
    due: int
    held: int


class ScaleOut(TypedDict):
    """The sums, and each kind by itself."""

    jobs: int
    due: int
    held: int
    kinds: list[WorkloadOut]


class _JobIn(TypedDict):
    kind: str


class JobIn(_JobIn, total=False):
    """A job as producers send it. Unknown fields and wrong types are refused."""

    payload: Any
    priority: int
    run_at: datetime | None
    key: str | None
    max_attempts: int | None
    unique: Literal["always", "unfinished", "pending"]
    on_conflict: Literal["keep", "replace"]
    delay: float | None
    start_by: datetime | None
    run_within: float | None
    heartbeat_within: float | None
    backoff: float | None
    group: str | None
