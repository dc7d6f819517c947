"""One thread that runs handlers, one job after the other, and reports how each ended."""

import logging
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from .errors import Cancelled, Deferred, GiveUp, HandlerFailed, RetryLater
from .job import Job
from .leases import Leases
from .messages import Completed, Failed, Released
from .outbox import Outbox, Report
from .retry_after import LONGEST, retry_in
from .wire import ERROR_LIMIT, encode, tidy

log = logging.getLogger("jobsite_client")

# Bytes of the reason of a deferral: what the server takes.
REASON_LIMIT = 500

Handler = Callable[[Job], Any]


class Worker(threading.Thread):
    """Runs the jobs in `leases` until the process ends; reports go to `outbox`.

    `handle` runs a job's handler. `done` is called after a job that is not to be reported, when it is out of `leases`.
    """

    def __init__(self, leases: Leases, outbox: Outbox, handle: Handler, *, done: Callable[[], None]) -> None:
        super().__init__(name="jobsite-worker", daemon=True)
        self._leases = leases
        self._outbox = outbox
        self._handle = handle
        self._done = done

    def run(self) -> None:
        while True:
            job = self._leases.begin()
            report = None
            try:
                report = None if job.cancelled.is_set() else self._work(job)
            except Exception:
                log.exception("%s: the report could not be made; the job will expire.", job)
            if report:
                self._leases.finish(job)
                self._outbox.put(report)
            else:
                self._leases.remove(job)
                self._done()

    def _work(self, job: Job) -> Report | None:
        """Run the handler. None: there is nothing to report."""
        began = time.monotonic()
        try:
            result = self._handle(job)
            size = _size(result)
        except Cancelled:
            if job.timed_out and not job.lost:
                return self._failed(job, job.timed_out, time.monotonic() - began, retry=True)
            log.info("%s: stopped unfinished. %s", job, job.cancelled_because)
            return None
        except GiveUp as error:
            why = str(error).strip() or "The handler gave up and did not say why."
            return self._failed(job, why, time.monotonic() - began, retry=False)
        except Deferred as error:
            return self._deferred(job, error, time.monotonic() - began)
        except BaseException as error:
            why = str(error) if isinstance(error, HandlerFailed | RetryLater) else _trace(error)
            return self._failed(job, why, time.monotonic() - began, retry=True, again_in=retry_in(error))
        # Also when the lease is known to be lost: the server keeps a late result for the operators to see.
        return Report(job, Completed(job.id, job.attempt, result), size, time.monotonic() - began)

    def _deferred(self, job: Job, wish: Deferred, took: float) -> Report | None:
        if job.lost:
            log.info("%s: deferred after its lease was lost.", job)
            return None
        reason = tidy(wish.reason, REASON_LIMIT)
        return Report(job, Released(job.id, job.attempt, min(wish.seconds, LONGEST), reason), len(encode(reason)), took)

    def _failed(
        self, job: Job, error: str, took: float, *, retry: bool, again_in: float | None = None
    ) -> Report | None:
        last_line = error.strip().rsplit("\n", 1)[-1]
        if job.lost:
            # It probably failed because it was interrupted. Reporting that would confuse the job's history.
            log.info("%s: failed after its lease was lost: %s", job, last_line)
            return None
        log.warning("%s: failed%s: %s", job, "" if retry else " for good", last_line)
        error = tidy(error, ERROR_LIMIT)
        return Report(job, Failed(job.id, job.attempt, error, retry, again_in), len(encode(error)), took)


def _size(result: Any) -> int:
    """The size of the result as sent. One that cannot be sent is the handler's bug, so it is not retried."""
    try:
        return len(encode(result))
    except ValueError as error:
        raise GiveUp(f"The handler's result cannot be sent as JSON: {error}") from None


def _trace(error: BaseException) -> str:
    # The first frame is this library's own call of the handler.
    inner = error.__traceback__.tb_next if error.__traceback__ else None
    return "".join(traceback.format_exception(type(error), error, inner))
