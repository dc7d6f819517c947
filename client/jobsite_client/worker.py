"""The work itself: one thread that runs handlers, one job after the other, and reports how each ended."""

import logging
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any

from .api import Client
from .endings import Ending, ending_for
from .errors import Cancelled, GiveUp, JobsiteError, LeaseLost, Unavailable
from .job import Job
from .leases import Leases
from .wire import encode, tidy

log = logging.getLogger("jobsite_client")

Handler = Callable[[Job], Any]

# Bytes of an error's text: a little under what the server takes.
ERROR_LIMIT = 60 * 1024
# Seconds. A result is worth more than the time to deliver it: keep trying through an outage, while heartbeats
# try to keep the lease. After this long the sweep has certainly given the job to another bot.
REPORT_FOR = 900.0


class Worker(threading.Thread):
    """Runs jobs from `todo` until the process ends. `done` is called after each job, when it is out of `leases`."""

    def __init__(
        self,
        client: Client,
        leases: Leases,
        handlers: Mapping[str, Handler],
        todo: "SimpleQueue[Job]",
        *,
        tell: Callable[[Ending], None],
        done: Callable[[], None],
    ) -> None:
        super().__init__(name="jobsite-worker", daemon=True)
        self._client = client
        self._leases = leases
        self._handlers = handlers
        self._todo = todo
        self._tell = tell
        self._done = done

    def run(self) -> None:
        while True:
            job = self._todo.get()
            try:
                self._work(job)
            except Exception:
                log.exception("%s: the report could not be made; the sweep will give the job back.", job)
            finally:
                self._leases.remove(job)
                self._done()

    def _work(self, job: Job) -> None:
        if job.cancelled.is_set():
            return
        began = time.monotonic()
        try:
            result = self._handlers[job.kind](job)
            # What cannot be sent is the handler's mistake, and it will make it again.
            _sendable(result)
        except Cancelled:
            log.info("%s: stopped unfinished. %s", job, job.cancelled_because)
        except GiveUp as error:
            self._fail(job, str(error).strip() or "The handler gave up and did not say why.", retry=False)
        except BaseException as error:
            self._fail(job, _trace(error), retry=True)
        else:
            self._complete(job, result, time.monotonic() - began)

    def _complete(self, job: Job, result: Any, took: float) -> None:
        # Also when the lease is known to be lost: the server keeps a late result for the operators to see.
        job.reporting = True
        try:
            self._client.complete(job.id, job.attempt, result, retry_for=REPORT_FOR)
        except LeaseLost as error:
            log.warning("%s: the server refused the result (409 lease_lost), %s.", job, error.explain())
        except JobsiteError as error:
            if not self._unreported(job, error):
                log.error("%s: the server refused the result: %s", job, error.detail)
                again = error.status is None or error.status >= 500
                self._fail(job, f"The server refused the result: {error.detail}", retry=again)
        else:
            log.info("%s: completed in %.2f s.", job, took)

    def _fail(self, job: Job, error: str, *, retry: bool) -> None:
        last_line = error.strip().rsplit("\n", 1)[-1]
        if job.lost:
            # Most likely it failed because it was interrupted; the job's history would only be confused by it.
            log.info("%s: failed after its lease was lost: %s", job, last_line)
            return
        job.reporting = True
        log.warning("%s: failed%s: %s", job, "" if retry else " for good", last_line)
        try:
            self._client.fail(job.id, job.attempt, tidy(error, ERROR_LIMIT), retry=retry, retry_for=REPORT_FOR)
        except LeaseLost as lost:
            log.warning("%s: the failure was not taken (409 lease_lost), %s.", job, lost.explain())
        except JobsiteError as refusal:
            if not self._unreported(job, refusal):
                log.error("%s: the server refused the failure's report: %s", job, refusal.detail)

    def _unreported(self, job: Job, error: JobsiteError) -> bool:
        """Whether this error means that no report can be made at all; if so, it is logged and told."""
        ending = ending_for(error, self._client.instance)
        if ending:
            self._tell(ending)
        if ending or isinstance(error, Unavailable):
            log.error("%s: its outcome could not be reported: %s", job, error.detail)
            return True
        return False


def _sendable(result: Any) -> None:
    try:
        encode(result)
    except ValueError as error:
        raise GiveUp(f"The handler's result cannot be sent as JSON: {error}") from None


def _trace(error: BaseException) -> str:
    # The first frame is this library's own call of the handler.
    inner = error.__traceback__.tb_next if error.__traceback__ else None
    return "".join(traceback.format_exception(type(error), error, inner))
