"""Requests to the server and its answers, as dataclasses. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from .errors import JobsiteError, parse_time, problem

T = TypeVar("T")
JobId = int | str
# Leases that a process knows of: (job, attempt).
Holds = Iterable[tuple[JobId, int]] | None


# --- Reports in an exchange ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Completed:
    """A job is done. `result` is any JSON value of at most 256 KiB; None sends none."""

    id: JobId
    attempt: int
    result: Any = None


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt failed. `error` is at most 64 KiB; `retry` False ends the job without further attempts.

    `retry_in`: seconds until the next attempt, in place of the kind's backoff.
    """

    id: JobId
    attempt: int
    error: str
    retry: bool = True
    retry_in: float | None = None


@dataclass(frozen=True, slots=True)
class Released:
    """A lease is handed back. `run_in`: in how many seconds the job is due again, which defers it; None: at once."""

    id: JobId
    attempt: int
    run_in: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A lease is to be renewed; `progress` is 0–100, `note` at most 500 characters."""

    id: JobId
    attempt: int
    progress: int | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Slots:
    """Room for jobs in a process. A slot is lost when its handler was asked to stop and does not end."""

    all: int
    free: int
    lost: int


# --- Answers ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job as the server hands it out. `id` and `attempt` together name the lease; times are UTC."""

    id: JobId
    kind: str
    attempt: int
    payload: Any
    priority: int
    key: str | None
    run_at: datetime | None
    deadline_at: datetime | None
    max_attempts: int | None
    # Seconds to `deadline_at` when it was claimed. None: an older server.
    lease_for: float | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer to a claim: the jobs now held, and the operators' orders.

    `retry_after`: for this many seconds the server has no place for another long poll, or a rate or throttle shuts all
    these kinds.
    """

    jobs: list[ClaimedJob]
    paused: bool
    restart: bool
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A rejected report. `error` is a `LeaseLost`, or a `JobsiteError` of code `not_found` or `too_many_deferrals`."""

    id: JobId
    attempt: int
    error: JobsiteError


@dataclass(frozen=True, slots=True)
class Exchange:
    """The answer to an exchange: accepted and rejected reports, and then the same as the answer to a claim.

    `cancel` lists those of the rejected whose jobs an operator has cancelled.
    """

    accepted: list[JobId]
    rejected: list[Rejected]
    cancel: list[JobId]
    jobs: list[ClaimedJob]
    paused: bool
    restart: bool
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Renewal:
    """The answer to a job's heartbeat. `deadline_at` is when the sweep will next look at the lease (UTC)."""

    deadline_at: datetime | None
    cancel: bool
    restart: bool
    lease_for: float | None = None


@dataclass(frozen=True, slots=True)
class Orders:
    """Orders of operators to this process: take no new jobs (`paused`), restart (`restart`).

    `lost`: the leases, `(job, attempt)`, that it no longer has; `cancel`: those of them whose jobs were cancelled.
    """

    paused: bool
    restart: bool
    lost: list[tuple[JobId, int]]
    cancel: list[tuple[JobId, int]]


# --- From and to JSON ---------------------------------------------------------------------------------------------


def given(**fields: Any) -> dict[str, Any]:
    """The fields that have a value, moments as text. The server uses its defaults for the others."""
    return moments_as_text({name: value for name, value in fields.items() if value is not None})


def moments_as_text(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as JSON has them. Raises ValueError for a moment without a time zone."""
    return {name: moment(name, value) if isinstance(value, datetime) else value for name, value in fields.items()}


def moment(field: str, at: datetime) -> str:
    """A moment as text. Raises ValueError for one without a time zone."""
    if at.tzinfo is None:
        raise ValueError(f"{field} needs a time zone, for example datetime.now(UTC).")
    return at.isoformat()


def claim_body(limit: int, kinds: Sequence[str] | None, wait: float | None, start: bool) -> dict[str, Any]:
    return given(limit=limit, kinds=None if kinds is None else list(kinds), wait=wait or None, start=start)


def slots_body(slots: Slots | None) -> dict[str, Any]:
    return {} if slots is None else {"slots": asdict(slots)}


def completed_body(report: Completed, *, named: bool = True) -> dict[str, Any]:
    """As an item of an exchange, which names its job, or as a call of its own."""
    fields = {"id": report.id, "attempt": report.attempt} if named else {"attempt": report.attempt}
    return fields if report.result is None else fields | {"result": report.result}


def failed_body(report: Failed) -> dict[str, Any]:
    fields = {"id": report.id, "attempt": report.attempt, "error": report.error, "retry": report.retry}
    return fields | given(retry_in=report.retry_in)


def released_body(report: Released) -> dict[str, Any]:
    return given(id=report.id, attempt=report.attempt, run_in=report.run_in, reason=report.reason or None)


def heartbeat_body(heartbeat: Heartbeat) -> dict[str, Any]:
    return given(id=heartbeat.id, attempt=heartbeat.attempt, progress=heartbeat.progress, note=heartbeat.note)


def orders(reply: Mapping[str, Any]) -> dict[str, bool]:
    """`paused` and `restart` of any answer that has them."""
    return {"paused": reply.get("paused") is True, "restart": reply.get("restart") is True}


def orders_answer(body: object) -> Orders:
    """The answer to the heartbeat of a process."""
    reply = json_object(body)
    return Orders(lost=pairs(reply, "lost"), cancel=pairs(reply, "cancel"), **orders(reply))


def claim_answer(body: object, retry_after: float | None) -> Claim:
    """The answer to a claim."""
    reply = json_object(body)
    return Claim(jobs=claimed(reply), retry_after=retry_after, **orders(reply))


def exchange_answer(body: object, retry_after: float | None) -> Exchange:
    """The answer to an exchange."""
    reply = json_object(body)
    return Exchange(
        accepted=list(reply.get("accepted") or ()),
        rejected=rejected(reply),
        cancel=list(reply.get("cancel") or ()),
        jobs=claimed(reply),
        retry_after=retry_after,
        **orders(reply),
    )


def renewal_answer(body: object) -> Renewal:
    """The answer to the heartbeat of a job, or to its start."""
    reply = json_object(body)
    return Renewal(
        deadline_at=parse_time(reply.get("deadline_at")),
        cancel=reply.get("cancel") is True,
        restart=reply.get("restart") is True,
        lease_for=seconds(reply.get("lease_for")),
    )


def pairs(reply: Mapping[str, Any], name: str) -> list[tuple[JobId, int]]:
    """Leases in an answer: `[job, attempt]` each."""
    return [(job, attempt) for job, attempt in reply.get(name) or ()]


def claimed(reply: Mapping[str, Any]) -> list[ClaimedJob]:
    """The jobs in the answer to a claim or an exchange."""
    return [
        ClaimedJob(
            id=job["id"],
            kind=job["kind"],
            attempt=job["attempt"],
            payload=job.get("payload"),
            priority=job.get("priority") or 0,
            key=job.get("key") or None,
            run_at=parse_time(job.get("run_at")),
            deadline_at=parse_time(job.get("deadline_at")),
            max_attempts=job.get("max_attempts"),
            lease_for=seconds(job.get("lease_for")),
        )
        for job in reply.get("jobs") or ()
    ]


def seconds(value: object) -> float | None:
    """A number of seconds in an answer; None where it has none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None


def rejected(reply: Mapping[str, Any]) -> list[Rejected]:
    """The rejected reports of an exchange, each with the error that its own call would have raised."""
    return [
        Rejected(
            id=entry["id"],
            attempt=entry.get("attempt") or 0,
            error=problem(404 if entry.get("code") == "not_found" else 409, entry),
        )
        for entry in reply.get("rejected") or ()
    ]


def json_object(reply: object) -> dict[str, Any]:
    """An answer that is a JSON object, or none."""
    if reply is None:
        return {}
    if not isinstance(reply, dict):
        raise JobsiteError("The answer is not a JSON object; is this a Jobsite server?")
    return reply


def batches(jobs: Iterable[T], size: int) -> Iterator[list[T]]:
    """Split into lists of at most `size`."""
    rest = iter(jobs)
    while batch := list(islice(rest, size)):
        yield batch
