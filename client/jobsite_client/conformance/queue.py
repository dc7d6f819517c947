"""The jobs, leases and instances of one bot, in memory, by the rules of the server. Knows no HTTP."""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

# An attempt is the epoch times a million, and which try it is: a bot that counts attempts itself is found out.
FIRST_ATTEMPT = 3_000_001
MAX_ATTEMPTS = 3
# Seconds until a failed job is due again.
BACKOFF = 0.5
ECHO, FAIL, SLEEP = "conformance.echo", "conformance.fail", "conformance.sleep"
KINDS = (ECHO, FAIL, SLEEP)
BOT = {"bot_id": 1, "name": "bot", "capacity": None}
OPERATOR, SWEEP, BY_BOT = "operator olga", "the sweep", "bot bot"

Lease = tuple[int, int]
HELD, FINISHED = ("claimed", "processing"), ("succeeded", "failed", "cancelled")


class Refused(Exception):
    """The call is refused, with this status and code; `facts` are further members of the problem."""

    def __init__(self, status: int, code: str, detail: str, **facts: Any) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.facts = status, code, detail, facts


@dataclass
class Ended:
    """How a lease ended."""

    verb: str
    by: str
    reason: str
    at: float


@dataclass(eq=False)
class Job:
    """A job. Moments are of the queue's clock."""

    id: int
    kind: str
    payload: Any
    due: float
    attempt: int = FIRST_ATTEMPT - 1
    status: str = "pending"
    instance: str = ""
    deadline: float = 0.0
    result: Any = None
    error: str = ""
    # How each attempt ended, and when each was given.
    ended: dict[int, Ended] = field(default_factory=dict)
    given: dict[int, float] = field(default_factory=dict)

    @property
    def held(self) -> bool:
        return self.status in HELD

    @property
    def finished(self) -> bool:
        return self.status in FINISHED

    def __str__(self) -> str:
        return f"job {self.id} ({self.kind})"


@dataclass
class Instance:
    """A process of the bot, as it called hello."""

    identity: str
    ended: bool = False
    replaced_by: str = ""
    restart: bool = False


class Queue:
    """All jobs, and the verbs of bots and operators. Not thread-safe: the server has the lock. `clock`: seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ids = itertools.count(17)
        self.jobs: dict[int, Job] = {}
        self.instances: dict[str, Instance] = {}
        self.paused = False
        # What the bot may take; none: any.
        self.kinds: tuple[str, ...] = KINDS
        # Seconds that a claim and a heartbeat give.
        self.lease_for = 120.0

    # --- Operators and the sweep ----------------------------------------------------------------------------------

    def add(self, kind: str, payload: Any) -> Job:
        """Enqueue a job."""
        job = Job(next(self._ids), kind, payload, self._clock())
        self.jobs[job.id] = job
        return job

    def release(self, job: Job, reason: str = "it hangs") -> None:
        """Release it, as an operator does."""
        self._end(job, "release", OPERATOR, reason, "pending")

    def cancel(self, job: Job, reason: str = "not needed") -> None:
        """Cancel it, as an operator does."""
        self._end(job, "cancel", OPERATOR, reason, "cancelled")

    def expire(self) -> None:
        """End the leases whose time is over."""
        now = self._clock()
        for job in self.held():
            if job.deadline < now:
                self._end(job, "expire", SWEEP, "silent", "pending")

    def ask_restart(self) -> None:
        """Release all, and ask each current instance to restart."""
        for job in self.held():
            self._end(job, "release", OPERATOR, "its bot was told to restart", "pending")
        for instance in self.instances.values():
            instance.restart = not instance.ended

    def _end(self, job: Job, verb: str, by: str, reason: str, status: str) -> None:
        if job.held:
            job.ended[job.attempt] = Ended(verb, by, reason, self._clock())
        job.status, job.instance = status, ""

    # --- Questions ------------------------------------------------------------------------------------------------

    def held(self) -> list[Job]:
        """The jobs that the bot holds."""
        return [job for job in self.jobs.values() if job.held]

    def was_given(self, lease: Lease) -> bool:
        """Whether a claim has given this lease."""
        job = self.jobs.get(lease[0])
        return job is not None and lease[1] in job.given

    def orders(self, name: str) -> dict[str, bool]:
        """What operators want of this instance."""
        instance = self.instances.get(name)
        return {"paused": self.paused, "restart": instance is not None and instance.restart}

    def check_instance(self, name: str) -> None:
        """Refused if it was replaced or has called goodbye."""
        instance = self.instances.get(name)
        if instance is not None and instance.ended:
            by = f"{instance.replaced_by} has taken over from it" if instance.replaced_by else "it called goodbye"
            raise Refused(409, "instance_replaced", f"Instance {name} of bot bot has ended: {by}.")

    # --- The process ----------------------------------------------------------------------------------------------

    def hello(self, body: dict[str, Any], before: str) -> dict[str, Any]:
        """Register an instance, and release what older ones of its identity hold, or what it does not know."""
        name, holds = body["instance"], body.get("holds")
        identity = body.get("identity")
        if identity is None:
            identity = "" if body.get("alone", True) else name
        former = [self.instances[one] for one in {before, name} & self.instances.keys()]
        if holds is not None and before and before in self.instances:
            replaced_by = self.instances[before].replaced_by
            if replaced_by not in ("", name):
                raise Refused(409, "instance_replaced", f"Instance {replaced_by} has taken over from {before}.")
        restart = holds is not None and any(one.restart for one in former)
        self.instances[name] = Instance(identity)
        for other, instance in self.instances.items():
            if other != name and instance.identity == identity and not instance.ended:
                instance.ended, instance.replaced_by = True, name
        released = self._release_unknown(name, identity, None if holds is None else {(job, n) for job, n in holds})
        answer = BOT | {"kinds": list(self.kinds), "instance": name, "released": released, "warnings": []}
        return answer | {"paused": self.paused, "restart": restart}

    def _release_unknown(self, name: str, identity: str, holds: set[Lease] | None) -> list[int]:
        released = []
        for job in self.held():
            own = job.instance == name
            holder = self.instances.get(job.instance)
            if (holder.identity if holder else "") != identity or (own and holds is None):
                continue
            if holds is not None and (job.id, job.attempt) in holds:
                job.instance = name
            else:
                self._end(job, "release", BY_BOT, "the answer was lost, or the bot was started again", "pending")
                released.append(job.id)
        return released

    def goodbye(self, name: str) -> dict[str, Any]:
        """End an instance, and release what it holds."""
        self.instances.setdefault(name, Instance("")).ended = True
        mine = [job for job in self.held() if job.instance == name]
        for job in mine:
            self._end(job, "release", BY_BOT, "bot bot called goodbye", "pending")
        return {"instance": name, "released": [job.id for job in mine], **self.orders(name)}

    def lost(self, holds: Iterable[list[int]]) -> dict[str, Any]:
        """Those of these leases that the bot does not hold, and among them those that were cancelled."""
        lost, cancel = [], []
        for job_id, attempt in holds:
            job = self.jobs.get(job_id)
            if job is not None and job.held and job.attempt == attempt:
                continue
            lost.append([job_id, attempt])
            if job is not None and attempt in job.ended and job.ended[attempt].verb == "cancel":
                cancel.append([job_id, attempt])
        return {"lost": lost, "cancel": cancel}

    # --- Leases ---------------------------------------------------------------------------------------------------

    def claim(self, name: str, limit: int, kinds: list[str] | None, start: bool) -> list[Job]:
        """Give the next due jobs to this instance."""
        now, orders = self._clock(), self.orders(name)
        if orders["paused"] or orders["restart"]:
            return []
        due = [job for job in self.jobs.values() if job.status == "pending" and job.due <= now]
        chosen = [job for job in due if kinds is None or job.kind in kinds][:limit]
        for job in chosen:
            job.attempt += 1
            job.given[job.attempt] = now
            job.status, job.instance = ("processing" if start else "claimed"), name
            job.deadline = now + self.lease_for
        return chosen

    def report(self, verb: str, job_id: int, attempt: int, body: dict[str, Any]) -> Job:
        """Carry out a report of the bot. The same once more is carried out, too."""
        job = self.jobs.get(job_id)
        if job is None:
            raise Refused(404, "not_found", f"There is no job {job_id}.")
        if not job.held or job.attempt != attempt:
            before = job.ended.get(attempt)
            again = "defer" if body.get("run_in") is not None else verb
            if before is not None and (before.verb, before.by) == (again, BY_BOT):
                return job
            raise _lease_lost(job, attempt, before)
        if verb in ("start", "heartbeat"):
            job.status, job.deadline = "processing", self._clock() + self.lease_for
        else:
            self._finish(verb, job, body)
        return job

    def _finish(self, verb: str, job: Job, body: dict[str, Any]) -> None:
        if verb == "complete":
            job.result = body.get("result")
            self._end(job, verb, BY_BOT, "completed", "succeeded")
        elif verb == "release":
            # With `run_in` the bot defers the job: it is due again only then.
            run_in = body.get("run_in")
            job.due = self._clock() + (run_in or 0)
            self._end(job, verb if run_in is None else "defer", BY_BOT, body.get("reason", ""), "pending")
        else:
            job.error = body["error"]
            again = body.get("retry", True) and job.attempt - FIRST_ATTEMPT + 1 < MAX_ATTEMPTS
            retry_in = body.get("retry_in")
            job.due = self._clock() + (BACKOFF if retry_in is None else retry_in)
            self._end(job, verb, BY_BOT, job.error, "pending" if again else "failed")


def _lease_lost(job: Job, attempt: int, ended: Ended | None) -> Refused:
    facts = {"job_id": job.id, "attempt": attempt, "cancel": ended is not None and ended.verb == "cancel"}
    if ended is None:
        detail = f"Bot bot does not hold attempt {attempt} of job {job.id}."
        return Refused(409, "lease_lost", detail, ended_by=None, ended_at=None, reason="never held", verb=None, **facts)
    detail = f"Attempt {attempt} of job {job.id} was ended by {ended.by}: {ended.reason}. Nothing was changed."
    return Refused(
        409, "lease_lost", detail, ended_by=ended.by, ended_at=ended.at, reason=ended.reason, verb=ended.verb, **facts
    )
