"""What is done around a handler: log context, observers, and what to report of how it ended."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from .errors import Cancelled, Deferred, GiveUp, HandlerFailed, RetryLater
from .handlers import trace
from .job import Job
from .leases import Leases
from .logs import set_current_job
from .messages import Completed, Failed, Released
from .outbox import Outbox, Report
from .results import Results
from .retry_after import LONGEST, retry_in
from .wire import ERROR_LIMIT, encode, tidy

log = logging.getLogger("jobsite_client")

# Bytes of the reason of a deferral: what the server takes.
REASON_LIMIT = 500

Outcome = Literal["completed", "failed", "gave_up", "deferred", "stopped"]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a handler ended, before that is reported.

    `outcome`: `completed`, `failed` (it is tried again), `gave_up` (it is not), `deferred`, or `stopped`, of which
    nothing is reported. `seconds`: how long it ran. `error`: what it raised, or None; of a handler in a process of its
    own the text of its traceback is in a `HandlerFailed`.
    """

    outcome: Outcome
    seconds: float
    error: BaseException | None = None


class Observer(Protocol):
    """What is called around each handler, in its thread or task."""

    def on_start(self, job: Job) -> None: ...

    def on_end(self, job: Job, ended: Ended) -> None: ...


class Hooks:
    """The observer of a bot's options `on_start`, `on_end` and `on_error`."""

    def __init__(
        self,
        on_start: Callable[[Job], None] | None,
        on_end: Callable[[Job, Ended], None] | None,
        on_error: Callable[[Job, BaseException], None] | None,
    ) -> None:
        self._on_start = on_start
        self._on_end = on_end
        self._on_error = on_error

    def on_start(self, job: Job) -> None:
        if self._on_start:
            self._on_start(job)

    def on_end(self, job: Job, ended: Ended) -> None:
        if self._on_error and ended.error is not None and ended.outcome in ("failed", "gave_up"):
            self._on_error(job, ended.error)
        if self._on_end:
            self._on_end(job, ended)


class Attempts:
    """Used by what runs handlers: `begin` before one, in its thread or task, then `returned` or `raised`.

    Then `conclude`, which puts the report into `outbox`, or calls `done` if there is none.
    """

    def __init__(
        self,
        leases: Leases,
        outbox: Outbox,
        results: Results,
        observers: Sequence[Observer],
        done: Callable[[], None],
    ) -> None:
        self._leases = leases
        self._outbox = outbox
        self._results = results
        self._observers = observers
        self._done = done

    def begin(self, job: Job) -> float:
        """Note that the handler of this job begins. Returns when, for the two below."""
        set_current_job(job)
        for observer in self._observers:
            self._notify(observer.on_start, job)
        return time.monotonic()

    def returned(self, job: Job, began: float, result: Any) -> Report | None:
        """What to report of a handler that returned. None: nothing."""
        took = time.monotonic() - began
        try:
            value, size = self._results.plain(job, result)
        except GiveUp as error:
            return self.raised(job, began, error)
        self._end(job, "completed", took)
        # Also when the lease is known to be lost: the server keeps a late result for the operators to see.
        return Report(job, Completed(job.id, job.attempt, value), size, took)

    def raised(self, job: Job, began: float, error: BaseException) -> Report | None:
        """What to report of a handler that raised this. None: nothing."""
        took = time.monotonic() - began
        outcome, report = self._report_of(job, error, took)
        self._end(job, outcome, took, error)
        return report

    def conclude(self, job: Job, report: Report | None) -> None:
        """Make room for another job, and send the report."""
        if report:
            self._leases.finish(job)
            self._outbox.put(report)
        else:
            self._leases.remove(job)
            self._done()

    def _report_of(self, job: Job, error: BaseException, took: float) -> tuple[Outcome, Report | None]:
        asked = isinstance(error, Cancelled) or (isinstance(error, asyncio.CancelledError) and job.cancelled.is_set())
        if asked and job.timed_out and not job.lost:
            return "failed", self._failure(job, job.timed_out, took, retry=True)
        if asked:
            log.info("%s: stopped unfinished. %s", job, job.cancelled_because)
            return "stopped", None
        if job.lost:
            # It probably failed because it was interrupted. Reporting that would confuse the job's history.
            log.info("%s: ended after its lease was lost: %s", job, _last_line(str(error) or repr(error)))
            return "stopped", None
        if isinstance(error, Deferred):
            reason = tidy(error.reason, REASON_LIMIT)
            content = Released(job.id, job.attempt, min(error.seconds, LONGEST), reason)
            return "deferred", Report(job, content, len(encode(reason)), took)
        if isinstance(error, GiveUp):
            why = str(error).strip() or "The handler gave up and did not say why."
            return "gave_up", self._failure(job, why, took, retry=False)
        why = str(error) if isinstance(error, HandlerFailed | RetryLater) else trace(error)
        return "failed", self._failure(job, why, took, retry=True, again_in=retry_in(error))

    def _failure(self, job: Job, why: str, took: float, *, retry: bool, again_in: float | None = None) -> Report:
        log.warning("%s: failed%s: %s", job, "" if retry else " for good", _last_line(why))
        why = tidy(why, ERROR_LIMIT)
        return Report(job, Failed(job.id, job.attempt, why, retry, again_in), len(encode(why)), took)

    def _end(self, job: Job, outcome: Outcome, took: float, error: BaseException | None = None) -> None:
        # The first that began is the last to end.
        for observer in reversed(self._observers):
            self._notify(observer.on_end, job, Ended(outcome, took, error))
        set_current_job(None)

    def _notify(self, call: Callable[..., None], job: Job, *rest: Any) -> None:
        try:
            call(job, *rest)
        except Exception:
            log.exception("%s: a hook of the bot failed.", job)


def _last_line(text: str) -> str:
    return text.strip().rsplit("\n", 1)[-1]
