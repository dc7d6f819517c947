"""Typed methods for the calls of bots and producers, and for most of operators.

`Bot` is built on this; producers and scripts use it directly.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from .errors import parse_time
from .limits import LimitCalls
from .messages import (
    Claim,
    Completed,
    Exchange,
    Failed,
    Heartbeat,
    Holds,
    JobId,
    Orders,
    Renewal,
    Slots,
    batches,
    claim_body,
    claimed,
    completed_body,
    failed_body,
    given,
    heartbeat_body,
    json_object,
    moment,
    orders,
    pairs,
    rejected,
    slots_body,
)
from .schedules import ScheduleCalls

# The most jobs the server takes in one bulk call.
BULK_LIMIT = 10_000


class Client(ScheduleCalls, LimitCalls):
    """Jobsite's API at `url`, called with a bot's token or a user's API key. Thread-safe.

    Every method raises `Unauthorized` for a bad token, `Unavailable` when the server could not be reached for
    `retry_for` seconds, and `JobsiteError` for any other refusal; the calls about a lease also raise `LeaseLost`
    and `InstanceReplaced`. Values that JSON cannot express raise ValueError.

    Idempotent calls are retried: reports, reading, and enqueueing with a `key`. A claim is retried only if the server
    certainly did not act on it. If only its answer was lost, the bot may hold jobs that it does not know. Call `hello`
    with `holds` before you claim again: it releases them at once. Otherwise they expire.
    """

    # --- A bot about itself ---------------------------------------------------------------------------------------

    def hello(
        self,
        instance: str,
        *,
        identity: str | None = None,
        host: str | None = None,
        pid: int | None = None,
        version: str | None = None,
        kinds: Sequence[str] | None = None,
        holds: Holds = None,
        slots: Slots | None = None,
        retry_for: float | None = None,
    ) -> dict[str, Any]:
        """Register a new instance of this bot. Its ID, `instance` (≤ 100 characters), is sent with every later call.

        What older instances of the `identity` still hold is released at once. Without one it is empty, for a bot of one
        process. `kinds`: what it will claim; the answer has `warnings` of what it cannot get. `holds` is for a process
        that goes on after a lost answer: it keeps these leases, `(job, attempt)`, and all others are released. A newer
        process is not replaced by that: InstanceReplaced.
        """
        leases = None if holds is None else list(holds)
        if leases is None:
            self.instance = instance
        body = given(instance=instance, identity=identity, host=host, pid=pid, version=version or None)
        body |= given(kinds=None if kinds is None else list(kinds), holds=leases) | slots_body(slots)
        reply = json_object(self.call("POST", "hello", body, retry_for=retry_for))
        self.instance = instance
        return reply

    def goodbye(self, *, timeout: float | None = None, retry_for: float | None = None) -> dict[str, Any]:
        """End this instance: all that it holds is released at once, and its claims get nothing, open ones neither."""
        body = {"instance": self.instance}
        return json_object(self.call("POST", "goodbye", body, timeout=timeout, retry_for=retry_for))

    def bot_heartbeat(self, version: str | None = None, *, holds: Holds = None, slots: Slots | None = None) -> Orders:
        """Send a heartbeat of the process. Returns the operators' orders, and which leases of `holds` it has lost."""
        body = given(version=version or None, holds=None if holds is None else list(holds)) | slots_body(slots)
        reply = json_object(self.call("POST", "heartbeat", body, retry_for=0))
        return Orders(lost=pairs(reply, "lost"), cancel=pairs(reply, "cancel"), **orders(reply))

    # --- A bot about its jobs -------------------------------------------------------------------------------------

    def claim(
        self,
        limit: int = 1,
        *,
        kinds: Sequence[str] | None = None,
        wait: float | None = None,
        start: bool = True,
        slots: Slots | None = None,
        retry_for: float | None = None,
    ) -> Claim:
        """Claim up to `limit` due jobs of these kinds (None: any). Returns fewer, or none, if there are not so many.

        `wait`: seconds of a long poll, at most 30. With `start` False the jobs are only claimed, and `start()` reports
        later that work on them began. `slots`: the room of this process, for operators to see.
        """
        body = claim_body(limit, kinds, wait, start) | slots_body(slots)
        timeout = self._timeout + (wait or 0)
        reply = self.ask("POST", "claim", body, repeatable=False, timeout=timeout, retry_for=retry_for)
        body = json_object(reply.body)
        return Claim(jobs=claimed(body), retry_after=reply.retry_after, **orders(body))

    def exchange(
        self,
        *,
        completed: Sequence[Completed] = (),
        failed: Sequence[Failed] = (),
        heartbeats: Sequence[Heartbeat] = (),
        limit: int = 0,
        kinds: Sequence[str] | None = None,
        wait: float | None = None,
        start: bool = True,
        slots: Slots | None = None,
        retry_for: float | None = None,
    ) -> Exchange:
        """Send reports (at most 1000 of each sort) in one call, with a claim if `limit` is not 0.

        Name each job once. A report whose lease is lost is in the answer's `rejected` and affects no other. An invalid
        report (too large, for instance) makes the server refuse the whole exchange. Reports are idempotent, a claim is
        not: with a `limit` the call is retried only if the server certainly did not act on it. You can then send the
        reports again without a claim.
        """
        body = given(
            completed=[completed_body(report) for report in completed] or None,
            failed=[failed_body(report) for report in failed] or None,
            heartbeats=[heartbeat_body(heartbeat) for heartbeat in heartbeats] or None,
            claim=claim_body(limit, kinds, wait, start) if limit else None,
        ) | slots_body(slots)
        timeout = self._timeout + (wait or 0)
        reply = self.ask("POST", "exchange", body, repeatable=not limit, timeout=timeout, retry_for=retry_for)
        answer = json_object(reply.body)
        return Exchange(
            accepted=list(answer.get("accepted") or ()),
            rejected=rejected(answer),
            cancel=list(answer.get("cancel") or ()),
            jobs=claimed(answer),
            retry_after=reply.retry_after,
            **orders(answer),
        )

    def start(self, job_id: JobId, attempt: int) -> dict[str, Any]:
        """Report that work on a job claimed with `start=False` begins now."""
        return self._report(job_id, "start", {"attempt": attempt})

    def heartbeat(
        self, job_id: JobId, attempt: int, *, progress: int | None = None, note: str | None = None
    ) -> Renewal:
        """Renew a lease; `progress` is 0–100, `note` at most 500 characters. Not retried: the next one follows soon."""
        body = given(attempt=attempt, progress=progress, note=note)
        reply = json_object(self.call("POST", f"jobs/{job_id}/heartbeat", body, retry_for=0))
        return Renewal(
            deadline_at=parse_time(reply.get("deadline_at")),
            cancel=reply.get("cancel") is True,
            restart=reply.get("restart") is True,
        )

    def complete(
        self, job_id: JobId, attempt: int, result: Any = None, *, retry_for: float | None = None
    ) -> dict[str, Any]:
        """Report success. `result` is any JSON value of at most 256 KiB; None sends none."""
        return self._report(job_id, "complete", given(attempt=attempt, result=result), retry_for)

    def fail(
        self, job_id: JobId, attempt: int, error: str, *, retry: bool = True, retry_for: float | None = None
    ) -> dict[str, Any]:
        """Report failure. `error` is at most 64 KiB; `retry` False ends the job without further attempts."""
        return self._report(job_id, "fail", {"attempt": attempt, "error": error, "retry": retry}, retry_for)

    def release(self, job_id: JobId, attempt: int, *, retry_for: float | None = None) -> dict[str, Any]:
        """Hand a job of this bot back unfinished. The attempt is not counted."""
        return self._report(job_id, "release", {"attempt": attempt}, retry_for)

    def _report(self, job_id: JobId, verb: str, body: dict[str, Any], retry_for: float | None = None) -> dict[str, Any]:
        return json_object(self.call("POST", f"jobs/{job_id}/{verb}", body, retry_for=retry_for))

    # --- Producers ------------------------------------------------------------------------------------------------

    def enqueue(
        self,
        kind: str,
        payload: Any = None,
        *,
        priority: int | None = None,
        run_at: datetime | None = None,
        key: str | None = None,
        max_attempts: int | None = None,
        group: str | None = None,
    ) -> dict[str, Any]:
        """Put a job in the queue and return it. With a `key`, enqueueing it again returns the job that is there.

        `run_at` needs a time zone. Without a `key` the call is not repeated once the server may have acted on it.
        """
        at = moment("run_at", run_at)
        body = given(kind=kind, payload=payload, priority=priority, run_at=at, key=key, group=group)
        body |= given(max_attempts=max_attempts)
        return json_object(self.call("POST", "jobs", body, repeatable=key is not None))

    def enqueue_bulk(self, jobs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """Put many jobs, each of the form of `POST /jobs`, in the queue: `{created, existing, ids}`.

        They go in batches of up to 10 000, each batch entirely or not at all.
        """
        total: dict[str, Any] = {"created": 0, "existing": 0, "ids": []}
        for batch in batches(jobs, BULK_LIMIT):
            repeatable = all(job.get("key") is not None for job in batch)
            reply = json_object(self.call("POST", "jobs/bulk", {"jobs": batch}, repeatable=repeatable, timeout=60))
            total["created"] += reply.get("created", 0)
            total["existing"] += reply.get("existing", 0)
            total["ids"] += reply.get("ids", [])
        return total

    def job(self, job_id: JobId) -> dict[str, Any]:
        """One job, with everything the server knows of it."""
        return json_object(self.call("GET", f"jobs/{job_id}"))

    def jobs(self, **filters: str | int) -> dict[str, Any]:
        """One page of jobs. Filters: `status`, `kind`, `key` with its `kind`, `group`, `bot`; `cursor` pages."""
        return json_object(self.call("GET", "jobs", params=filters))

    def events(self, job_id: JobId) -> Any:
        """The history of one job, as the server gives it."""
        return self.call("GET", f"jobs/{job_id}/events")

    # --- Operators ------------------------------------------------------------------------------------------------
    # Not idempotent (a second release is refused), so not retried.

    def release_job(self, job_id: JobId, reason: str | None = None) -> dict[str, Any]:
        """Release a held job, whichever bot holds it."""
        return self._order(f"jobs/{job_id}/release", reason=reason)

    def cancel_job(self, job_id: JobId, reason: str | None = None) -> dict[str, Any]:
        """Cancel a job."""
        return self._order(f"jobs/{job_id}/cancel", reason=reason)

    def retry_job(self, job_id: JobId, reason: str | None = None) -> dict[str, Any]:
        """Return a failed or cancelled job to pending."""
        return self._order(f"jobs/{job_id}/retry", reason=reason)

    def register_bot(
        self, name: str, *, kinds: Sequence[str] | None = None, capacity: int | None = None
    ) -> dict[str, Any]:
        """Register a bot. The answer has its token, which is shown only once."""
        return self._order("bots", name=name, kinds=None if kinds is None else list(kinds), capacity=capacity)

    def bots(self, **filters: str | int) -> dict[str, Any]:
        """One page of bots, as the server gives it."""
        return json_object(self.call("GET", "bots", params=filters))

    def bot(self, bot_id: JobId, *, wait_idle: bool = False) -> dict[str, Any]:
        """One bot. With `wait_idle` the server answers when it holds no job, or after 30 s."""
        params = {"wait": "idle"} if wait_idle else None
        return json_object(self.call("GET", f"bots/{bot_id}", params=params, timeout=60.0 if wait_idle else None))

    def pause_bot(
        self,
        bot_id: JobId,
        *,
        reason: str | None = None,
        until: datetime | None = None,
        instance: str | None = None,
    ) -> dict[str, Any]:
        """Pause this bot, or one instance of it: it gets no new jobs. `until` needs a time zone."""
        return self._order(f"bots/{bot_id}/pause", reason=reason, until=moment("until", until), instance=instance)

    def resume_bot(self, bot_id: JobId, *, instance: str | None = None) -> dict[str, Any]:
        """Resume this bot, or one instance of it."""
        return self._order(f"bots/{bot_id}/resume", instance=instance)

    def restart_bot(self, bot_id: JobId, *, instance: str | None = None) -> dict[str, Any]:
        """Release the jobs of this bot, or of one instance, and ask it to restart."""
        return self._order(f"bots/{bot_id}/restart", instance=instance)

    def stuck(self) -> dict[str, Any]:
        """Everything that is stuck now: `{jobs, bots, summary}`."""
        return json_object(self.call("GET", "stuck"))

    def _order(self, path: str, **fields: Any) -> dict[str, Any]:
        return json_object(self.call("POST", path, given(**fields), repeatable=False))
