"""The reports that are to go out: what the handlers' endings came to, in the order in which they ended."""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from .errors import LeaseLost
from .job import Job
from .messages import Completed, Failed

log = logging.getLogger("jobsite_client")

# Seconds. A result is worth more than the time to deliver it: keep trying through an outage, while heartbeats
# try to keep the lease. After this long the sweep has certainly given the job to another bot.
REPORT_FOR = 900.0
# The most reports of one exchange: the server takes so many of each sort.
BATCH_LIMIT = 1000
# Bytes. The server's own limits, unless it was told others: a result over the first goes alone, to be judged alone,
# and the reports of one exchange stay together well below the second, with room for heartbeats and a claim.
RESULT_LIMIT = 256 * 1024
BODY_LIMIT = 1536 * 1024
# Bytes that a report takes beside its result or error.
ENVELOPE = 100


@dataclass(eq=False, slots=True)
class Report:
    """How a job ended. `size` is that of its result or error in bytes, as sent; `took` is in seconds."""

    job: Job
    said: Completed | Failed
    size: int
    took: float
    give_up_at: float = field(default_factory=lambda: time.monotonic() + REPORT_FOR)

    @property
    def alone(self) -> bool:
        """Whether it may be more than the server takes, so that it must not share a call with others."""
        return self.size > RESULT_LIMIT

    def held(self) -> None:
        """Say in the log that the server has taken it."""
        if isinstance(self.said, Completed):
            log.info("%s: completed in %.2f s.", self.job, self.took)

    def too_late(self, error: LeaseLost) -> None:
        """Say in the log that the lease had ended before."""
        if isinstance(self.said, Completed):
            log.warning("%s: the server refused the result (409 lease_lost), %s.", self.job, error.explain())
        else:
            log.warning("%s: the failure was not taken (409 lease_lost), %s.", self.job, error.explain())

    def undelivered(self, why: str) -> None:
        """Say in the log that it was given up; the job goes back by the sweep."""
        log.error("%s: its outcome could not be reported: %s", self.job, why)


@dataclass(frozen=True, slots=True)
class Batch:
    """Reports for one exchange. `last`: there were no more of them; `alone`: it is one that must go by itself."""

    reports: list[Report]
    last: bool
    alone: bool = False


class Outbox:
    """Reports on their way to the server; safe to use from every thread."""

    def __init__(self) -> None:
        self._reports: deque[Report] = deque()
        self._ended = False
        self._changed = threading.Condition()

    def put(self, report: Report) -> None:
        """One more, behind the others."""
        with self._changed:
            self._reports.append(report)
            self._changed.notify()

    def put_back(self, reports: Iterable[Report]) -> None:
        """Reports that did not arrive: they are the next to go."""
        with self._changed:
            self._reports.extendleft(reversed(list(reports)))

    def take(self, until: float) -> Batch:
        """The next reports for one exchange; waits for the first until then (monotonic clock), or until ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._reports or self._ended, timeout=max(until - time.monotonic(), 0.0))
            if self._reports and self._reports[0].alone:
                report = self._reports.popleft()
                return Batch([report], last=not self._reports, alone=True)
            batch: list[Report] = []
            size = 0
            while self._reports and len(batch) < BATCH_LIMIT:
                size += self._reports[0].size + ENVELOPE
                if self._reports[0].alone or size > BODY_LIMIT:
                    break
                batch.append(self._reports.popleft())
            return Batch(batch, last=not self._reports)

    def end(self) -> None:
        """Nobody has to wait for reports any more."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
