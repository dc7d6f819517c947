"""The calls of a bot, with its token: about itself, and about its jobs."""

from collections.abc import Sequence
from typing import Any

from ..answers import GoodbyeOut, HelloOut, ReportOut, ThrottleOut
from ..messages import (
    Claim,
    Completed,
    Exchange,
    Failed,
    Heartbeat,
    Holds,
    JobId,
    Orders,
    Released,
    Renewal,
    Slots,
    claim_answer,
    claim_body,
    completed_body,
    exchange_answer,
    failed_body,
    given,
    heartbeat_body,
    orders_answer,
    released_body,
    renewal_answer,
    slots_body,
)
from ..method import call
from ..request import Reply, Request, Steps, at, post


class BotCalls:
    """What the clients have for bots."""

    instance: str | None

    # --- A bot about itself ---------------------------------------------------------------------------------------

    @call
    def hello(
        self,
        instance: str,
        *,
        identity: str | None = None,
        alone: bool | None = None,
        host: str | None = None,
        pid: int | None = None,
        version: str | None = None,
        kinds: Sequence[str] | None = None,
        holds: Holds = None,
        slots: Slots | None = None,
        retry_for: float | None = None,
    ) -> Steps[HelloOut]:
        """Register a new instance of this bot. Its ID, `instance` (≤ 100 characters), is sent with every later call.

        What older instances of the `identity` still hold is released at once. Without one it is empty, for a bot of one
        process; with `alone=False` it is the instance's own. `kinds`: what it will claim; the answer has `warnings` of
        what it cannot get. `holds` is for a process that goes on after a lost answer: it keeps these leases,
        `(job, attempt)`, and all others are released. A newer process is not replaced by that: InstanceReplaced.
        """
        leases = None if holds is None else list(holds)
        if leases is None:
            self.instance = instance
        body = given(instance=instance, identity=identity, alone=alone, host=host, pid=pid, version=version or None)
        body |= given(kinds=None if kinds is None else list(kinds), holds=leases) | slots_body(slots)
        reply: HelloOut = yield post(HelloOut, "hello", body, retry_for=retry_for)
        self.instance = instance
        return reply

    @call
    def goodbye(self, *, timeout: float | None = None, retry_for: float | None = None) -> Request[GoodbyeOut]:
        """End this instance: all that it holds is released at once, and its claims get nothing, open ones neither."""
        return post(GoodbyeOut, "goodbye", {"instance": self.instance}, timeout=timeout, retry_for=retry_for)

    @call
    def bot_heartbeat(
        self, version: str | None = None, *, holds: Holds = None, slots: Slots | None = None
    ) -> Request[Orders]:
        """Send a heartbeat of the process. Returns the operators' orders, and which leases of `holds` it has lost."""
        body = given(version=version or None, holds=None if holds is None else list(holds)) | slots_body(slots)
        return Request("POST", "heartbeat", _orders, body, retry_for=0)

    # --- A bot about its jobs -------------------------------------------------------------------------------------

    @call
    def claim(
        self,
        limit: int = 1,
        *,
        kinds: Sequence[str] | None = None,
        wait: float | None = None,
        start: bool = True,
        slots: Slots | None = None,
        retry_for: float | None = None,
    ) -> Request[Claim]:
        """Claim up to `limit` due jobs of these kinds (None: any). Returns fewer, or none, if there are not so many.

        `wait`: seconds of a long poll, at most 30. With `start` False the jobs are only claimed, and `start()` reports
        later that work on them began. `slots`: the room of this process, for operators to see.
        """
        body = claim_body(limit, kinds, wait, start) | slots_body(slots)
        return Request("POST", "claim", _claim, body, repeatable=False, wait=wait or 0.0, retry_for=retry_for)

    @call
    def exchange(
        self,
        *,
        completed: Sequence[Completed] = (),
        failed: Sequence[Failed] = (),
        released: Sequence[Released] = (),
        heartbeats: Sequence[Heartbeat] = (),
        limit: int = 0,
        kinds: Sequence[str] | None = None,
        wait: float | None = None,
        start: bool = True,
        slots: Slots | None = None,
        retry_for: float | None = None,
    ) -> Request[Exchange]:
        """Send reports (at most 1000 of each sort) in one call, with a claim if `limit` is not 0.

        Name each job once. A report whose lease is lost is in the answer's `rejected` and affects no other. An invalid
        report (too large, for instance) makes the server refuse the whole exchange. Reports are idempotent, a claim is
        not: with a `limit` the call is retried only if the server certainly did not act on it. You can then send the
        reports again without a claim.
        """
        body = given(
            completed=[completed_body(report) for report in completed] or None,
            failed=[failed_body(report) for report in failed] or None,
            released=[released_body(report) for report in released] or None,
            heartbeats=[heartbeat_body(heartbeat) for heartbeat in heartbeats] or None,
            claim=claim_body(limit, kinds, wait, start) if limit else None,
        ) | slots_body(slots)
        return Request("POST", "exchange", _exchange, body, repeatable=not limit, wait=wait or 0.0, retry_for=retry_for)

    @call
    def start(self, job_id: JobId, attempt: int) -> Request[Renewal]:
        """Report that work on a job claimed with `start=False` begins now."""
        return Request("POST", at("jobs", job_id, "start"), _renewal, {"attempt": attempt})

    @call
    def heartbeat(
        self, job_id: JobId, attempt: int, *, progress: int | None = None, note: str | None = None
    ) -> Request[Renewal]:
        """Renew a lease; `progress` is 0–100, `note` at most 500 characters. Not retried: the next one follows soon."""
        body = given(attempt=attempt, progress=progress, note=note)
        return Request("POST", at("jobs", job_id, "heartbeat"), _renewal, body, retry_for=0)

    @call
    def complete(
        self, job_id: JobId, attempt: int, result: Any = None, *, retry_for: float | None = None
    ) -> Request[ReportOut]:
        """Report success. `result` is any JSON value of at most 256 KiB; None sends none."""
        body = completed_body(Completed(job_id, attempt, result), named=False)
        return post(ReportOut, at("jobs", job_id, "complete"), body, retry_for=retry_for)

    @call
    def fail(
        self,
        job_id: JobId,
        attempt: int,
        error: str,
        *,
        retry: bool = True,
        retry_in: float | None = None,
        retry_for: float | None = None,
    ) -> Request[ReportOut]:
        """Report failure. `error` is at most 64 KiB; `retry` False ends the job without further attempts.

        `retry_in`: seconds until the next attempt, in place of the kind's backoff.
        """
        body = {"attempt": attempt, "error": error, "retry": retry} | given(retry_in=retry_in)
        return post(ReportOut, at("jobs", job_id, "fail"), body, retry_for=retry_for)

    @call
    def release(
        self,
        job_id: JobId,
        attempt: int,
        *,
        run_in: float | None = None,
        reason: str | None = None,
        retry_for: float | None = None,
    ) -> Request[ReportOut]:
        """Hand a job of this bot back unfinished. The attempt is not counted.

        `run_in` defers it: seconds until it is due again. The server takes that `MAX_DEFERRALS` times for each job,
        then it refuses with the code `too_many_deferrals`, and the bot holds the job still.
        """
        body = given(attempt=attempt, run_in=run_in, reason=reason)
        return post(ReportOut, at("jobs", job_id, "release"), body, retry_for=retry_for)

    @call
    def throttle(
        self, kind: str, seconds: float, *, group: str | None = None, reason: str | None = None
    ) -> Request[ThrottleOut]:
        """Let no jobs of this kind, or of this group of it, be claimed for so many seconds, at most 3600.

        For a bot whose service asks for that. 0 lifts it, with an operator's key.
        """
        body = {"kind": kind, "for": seconds} | given(group=group, reason=reason)
        return post(ThrottleOut, "throttle", body)


def _orders(reply: Reply) -> Orders:
    return orders_answer(reply.body)


def _renewal(reply: Reply) -> Renewal:
    return renewal_answer(reply.body)


def _claim(reply: Reply) -> Claim:
    return claim_answer(reply.body, reply.retry_after)


def _exchange(reply: Reply) -> Exchange:
    return exchange_answer(reply.body, reply.retry_after)
