"""The calls about jobs, with an API key: those of producers, and those of operators."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Literal, cast, get_args

from ..answers import (
    Added,
    BulkOut,
    ChangeOut,
    DeletedOut,
    EnqueuedOut,
    EventOut,
    EventsOut,
    ExplainedOut,
    JobIn,
    JobOut,
    JobStatus,
    TakenBackOut,
    Unique,
)
from ..messages import JobId, batches, given, moments_as_text
from ..method import call, listing
from ..pages import Listing
from ..request import Request, Steps, answer_as, at, get, post

# The most jobs the server takes in one bulk call.
BULK_LIMIT = 10_000
# Seconds for many jobs, and for the answer to a stream of any length.
BULK_WITHIN, STREAM_WITHIN = 60.0, 600.0
# Seconds from one look at a job that is waited for to the next.
POLL_EVERY = 1.0
FINISHED = ("succeeded", "failed", "cancelled")


class JobCalls:
    """What the clients have for jobs."""

    # --- Producers ------------------------------------------------------------------------------------------------

    @call
    def enqueue(
        self,
        kind: str,
        payload: Any = None,
        *,
        priority: int | None = None,
        run_at: datetime | None = None,
        key: str | None = None,
        max_attempts: int | None = None,
        unique: Unique | None = None,
        on_conflict: Literal["keep", "replace"] | None = None,
        delay: float | None = None,
        start_by: datetime | None = None,
        run_within: float | None = None,
        heartbeat_within: float | None = None,
        backoff: float | None = None,
        group: str | None = None,
    ) -> Request[EnqueuedOut]:
        """Put a job in the queue. Returns it, or the one that has its `key`; `outcome` says which.

        `unique`: how long the job keeps its key, `always`, until it has ended (`unfinished`), or until it is claimed
        for the first time (`pending`). With `pending`, `on_conflict="replace"` gives the job that is there what is sent
        now.

        `run_at` and `start_by` need a time zone. `delay`, in place of `run_at`, and other durations are in seconds.
        After `start_by` nobody gets the job. The call is repeated only with a key that the job keeps: otherwise it is
        not, once the server may have acted on it.
        """
        body = given(
            kind=kind,
            payload=payload,
            priority=priority,
            run_at=run_at,
            key=key,
            max_attempts=max_attempts,
            unique=unique,
            on_conflict=on_conflict,
            delay=delay,
            start_by=start_by,
            run_within=run_within,
            heartbeat_within=heartbeat_within,
            backoff=backoff,
            group=group,
        )
        return post(EnqueuedOut, "jobs", body, repeatable=_is_repeatable(body))

    @call
    def enqueue_bulk(self, jobs: Iterable[JobIn]) -> Steps[BulkOut]:
        """Put many jobs in the queue. Returns the sums of what the server answers.

        They go in batches of up to 10 000, each batch entirely or not at all.
        """
        total = Counter[str]()
        ids: list[int] = []
        outcomes: list[Added] = []
        for batch in batches(jobs, BULK_LIMIT):
            repeatable = all(map(_is_repeatable, batch))
            body = {"jobs": [moments_as_text(job) for job in batch]}
            reply: BulkOut = yield post(BulkOut, "jobs/bulk", body, repeatable=repeatable, timeout=BULK_WITHIN)
            total.update({outcome: reply.get(outcome, 0) for outcome in get_args(Added)})
            ids += reply.get("ids") or ()
            outcomes += reply.get("outcomes") or ()
        counts = {outcome: total[outcome] for outcome in get_args(Added)}
        return cast("BulkOut", counts | {"ids": ids, "outcomes": outcomes})

    @call
    def enqueue_stream(self, jobs: Iterable[JobIn], *, skip_bad: bool = False) -> Request[BulkOut]:
        """Put any number of jobs in the queue in one transaction: they are sent as they come, as compressed NDJSON.

        With a bad job nothing is enqueued: the error's `body` has `errors`, each with its `line`. `skip_bad` enqueues
        the others. The call is not repeated, since `jobs` can be read once. With keys you can make it again.
        """
        read, params = answer_as(BulkOut), given(bad="skip" if skip_bad else None)
        return Request("POST", "jobs/bulk", read, params=params, lines=jobs, timeout=STREAM_WITHIN, retry_for=0)

    @call
    def job(self, job_id: JobId) -> Request[JobOut]:
        """One job, with everything the server knows of it."""
        return get(JobOut, at("jobs", job_id), {})

    @call
    def wait_for_job(self, job_id: JobId, *, seconds: float = 60.0) -> Steps[JobOut]:
        """Wait until a job has ended. Returns it with its `status`, and its `result` or `error`.

        Raises TimeoutError if it has not ended after so many seconds. It is asked for once a second.
        """
        left = seconds
        while True:
            began = datetime.now(timezone.utc)
            job: JobOut = yield get(JobOut, at("jobs", job_id), {})
            if job["status"] in FINISHED:
                return job
            if left <= 0:
                raise TimeoutError(f"Job {job_id} is {job['status']} after {seconds:g} s.")
            pause = min(POLL_EVERY, left)
            yield pause
            left -= max((datetime.now(timezone.utc) - began).total_seconds(), pause)

    @listing
    def jobs(
        self,
        *,
        status: JobStatus | None = None,
        kind: str | None = None,
        key: str | None = None,
        group: str | None = None,
        bot: JobId | None = None,
        q: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Listing[JobOut]:
        """Iterate over jobs, newest first; `limit`: at most so many. `key` needs its `kind`; `bot`: who holds them.

        `q` is a search as in the console, such as `cust-17 error:timeout`.
        """
        filters = given(status=status, kind=kind, key=key, group=group, bot=bot, q=q)
        return Listing(JobOut, "jobs", "jobs", filters, limit, cursor)

    @call
    def events(self, job_id: JobId) -> Request[list[EventOut]]:
        """The history of one job, oldest first."""
        read = answer_as(EventsOut)
        return Request("GET", at("jobs", job_id, "events"), lambda reply: read(reply)["events"])

    @call
    def explain(self, job_id: JobId) -> Request[ExplainedOut]:
        """Why a job is where it is: `why` in words, and the evidence."""
        return get(ExplainedOut, at("jobs", job_id, "explain"), {})

    # --- Operators ------------------------------------------------------------------------------------------------
    # Not idempotent (a second release is refused), so not retried.

    @call
    def release_job(self, job_id: JobId, reason: str | None = None, *, to_another: bool = False) -> Request[ChangeOut]:
        """Release a held job, whichever bot holds it. `to_another`: for ten minutes no process gets it that held it."""
        body = given(reason=reason, to_another=to_another or None)
        return post(ChangeOut, at("jobs", job_id, "release"), body, repeatable=False)

    @call
    def cancel_job(self, job_id: JobId, reason: str | None = None) -> Request[ChangeOut]:
        """Cancel a job."""
        return post(ChangeOut, at("jobs", job_id, "cancel"), given(reason=reason), repeatable=False)

    @call
    def retry_job(self, job_id: JobId, reason: str | None = None) -> Request[ChangeOut]:
        """Return a failed or cancelled job to pending."""
        return post(ChangeOut, at("jobs", job_id, "retry"), given(reason=reason), repeatable=False)

    @call
    def edit_job(
        self, job_id: JobId, *, run_at: datetime | None = None, payload: Any = None, reason: str | None = None
    ) -> Request[JobOut]:
        """Edit a pending job: when it is due, or its payload. What is None stays."""
        body = given(run_at=run_at, payload=payload, reason=reason)
        return Request("PATCH", at("jobs", job_id), answer_as(JobOut), body)

    @call
    def take_back(
        self, entry_id: JobId, reason: str | None = None, *, cursor: str | None = None
    ) -> Request[TakenBackOut]:
        """Take back an act of the audit log: a cancel of jobs that nobody held, or a change of priority.

        Of an act in several steps a call undoes one. Repeat it with the answer's `next_cursor` as `cursor` until that
        is None.
        """
        body = given(reason=reason, cursor=cursor)
        return post(TakenBackOut, at("audit", entry_id, "take_back"), body, repeatable=False)

    @call
    def delete_jobs(
        self,
        *,
        ids: Sequence[JobId] | None = None,
        kind: str | Sequence[str] | None = None,
        status: JobStatus | Sequence[JobStatus] | None = None,
        key: str | Sequence[str] | None = None,
        group: str | Sequence[str] | None = None,
        payload: Mapping[str, Any] | None = None,
        created_before: datetime | None = None,
        finished_before: datetime | None = None,
        dry_run: bool = False,
        most: int | None = None,
        cursor: str | None = None,
        reason: str | None = None,
    ) -> Request[DeletedOut]:
        """Delete jobs for good, with their history: those that all these filters name, at most `most`.

        `payload`: an object that the job's payload contains. Repeat the call with the answer's `next_cursor` as
        `cursor` until that is None. With `dry_run` it only counts.
        """
        chosen = given(ids=None if ids is None else list(ids), payload=payload)
        chosen |= given(kind=_list(kind), status=_list(status), key=_list(key), group=_list(group))
        chosen |= given(created_before=created_before, finished_before=finished_before)
        body = given(filter=chosen, dry_run=dry_run or None, most=most, cursor=cursor, reason=reason)
        return post(DeletedOut, "jobs/delete", body, repeatable=False)


def _is_repeatable(job: Mapping[str, Any]) -> bool:
    """Whether a second call finds the job of the first. One that lets its key go may be at work or done by then."""
    return job.get("key") is not None and job.get("unique") in (None, "always")


def _list(values: str | Sequence[str] | None) -> list[str] | None:
    return [values] if isinstance(values, str) else None if values is None else list(values)
