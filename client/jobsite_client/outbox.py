"""Reports to send, in the order in which their handlers ended."""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from .errors import LeaseLost
from .job import Job
from .messages import Completed, Failed, JobId, Released
from .wire import ERROR_LIMIT, tidy

log = logging.getLogger("jobsite_client")

# Seconds to retry a report through an outage. After that, the lease has certainly expired.
REPORT_FOR = 900.0
# The most reports of one exchange: the server takes so many of each sort.
BATCH_LIMIT = 1000
# Bytes, by the server's default limits. A result over the first is sent alone. The reports of one exchange stay below
# the second, which leaves room for heartbeats and a claim.
RESULT_LIMIT = 256 * 1024
BODY_LIMIT = 1536 * 1024
# Bytes that a report takes beside its result or error.
ENVELOPE = 100


@dataclass(eq=False, slots=True)
class Report:
    """How a job ended. `size`: of its result or error in bytes, as sent. `took`: in seconds."""

    job: Job
    content: Completed | Failed | Released
    size: int
    took: float
    give_up_at: float = field(default_factory=lambda: time.monotonic() + REPORT_FOR)

    @property
    def alone(self) -> bool:
        """Whether it may exceed the server's limit and must not share a call with others."""
        return self.size > RESULT_LIMIT

    def held(self) -> None:
        """Log that the server accepted it."""
        if isinstance(self.content, Completed):
            log.info("%s: completed in %.2f s.", self.job, self.took)
        elif isinstance(self.content, Released):
            log.info("%s: deferred for %g s. %s", self.job, self.content.run_in or 0.0, self.content.reason)

    def fail_instead(self, why: str) -> None:
        """Report a failure, as the server does not take what was to be reported."""
        log.warning("%s: %s", self.job, why)
        self.content = Failed(self.content.id, self.content.attempt, tidy(why, ERROR_LIMIT))

    def too_late(self, error: LeaseLost) -> None:
        """Log that the lease had ended before."""
        if isinstance(self.content, Completed):
            log.warning("%s: the server refused the result (409 lease_lost), %s.", self.job, error.explain())
        else:
            log.warning("%s: the failure was not taken (409 lease_lost), %s.", self.job, error.explain())

    def undelivered(self, why: str) -> None:
        """Log that it was given up. The job will expire."""
        log.error("%s: its outcome could not be reported: %s", self.job, why)


@dataclass(frozen=True, slots=True)
class Batch:
    """Reports for one exchange. `last`: the outbox is empty. `alone`: a single report that must be sent by itself."""

    reports: list[Report]
    last: bool
    alone: bool = False


class Outbox:
    """Reports waiting to be sent. Thread-safe."""

    def __init__(self) -> None:
        self._reports: deque[Report] = deque()
        self._ended = False
        self._changed = threading.Condition()

    def put(self, report: Report) -> None:
        """Append a report."""
        with self._changed:
            self._reports.append(report)
            self._changed.notify()

    def put_back(self, reports: Iterable[Report]) -> None:
        """Put undelivered reports back at the front."""
        with self._changed:
            self._reports.extendleft(reversed(list(reports)))

    def take(self, until: float) -> Batch:
        """Return the next reports for one exchange. Waits for the first until `until` (monotonic clock) or the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._reports or self._ended, timeout=max(until - time.monotonic(), 0.0))
            if self._reports and self._reports[0].alone:
                report = self._reports.popleft()
                return Batch([report], last=not self._reports, alone=True)
            batch: list[Report] = []
            named: set[JobId] = set()
            size = 0
            while self._reports and len(batch) < BATCH_LIMIT:
                first = self._reports[0]
                size += first.size + ENVELOPE
                # An exchange names a job once, and two attempts of one may have ended.
                if first.alone or size > BODY_LIMIT or first.job.id in named:
                    break
                named.add(first.job.id)
                batch.append(self._reports.popleft())
            return Batch(batch, last=not self._reports)

    def end(self) -> None:
        """End all waits for reports."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
