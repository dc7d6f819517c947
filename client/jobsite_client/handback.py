"""Hand jobs back unfinished: at shutdown, when a claim is answered after it, and when a handler does not stop."""

import logging
import threading
from collections.abc import Iterable
from queue import Empty, SimpleQueue

from .api import Client
from .errors import JobsiteError, LeaseLost
from .job import Job

log = logging.getLogger("jobsite_client")

# Parallel calls: one that hangs must not delay the other jobs.
AT_A_TIME = 16
# Seconds to try for one job.
TRY_FOR = 3.0


class HandBack:
    """Hands jobs back in threads of its own. Thread-safe."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._left = 0
        self._changed = threading.Condition()

    def give(self, jobs: Iterable[Job]) -> None:
        """Start to hand these jobs back. Returns at once."""
        jobs = list(jobs)
        with self._changed:
            self._left += len(jobs)
        for job in jobs:
            self._jobs.put(job)
        for _ in range(min(len(jobs), AT_A_TIME)):
            threading.Thread(target=self._run, name="jobsite-hand-back", daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` until all are handed back. Returns whether they are."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._left, timeout=max(seconds, 0.0))

    def _run(self) -> None:
        while True:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return
            try:
                self._one(job)
            finally:
                with self._changed:
                    self._left -= 1
                    self._changed.notify_all()

    def _one(self, job: Job) -> None:
        try:
            if job.timed_out:
                self._client.fail(job.id, job.attempt, job.timed_out, retry_for=TRY_FOR)
            else:
                self._client.release(job.id, job.attempt, retry_for=TRY_FOR)
        except LeaseLost as error:
            log.info("%s: no need to hand it back, %s.", job, error.explain())
        except JobsiteError as error:
            log.warning("%s: could not be handed back, the sweep will do it. %s", job, error.detail)
        else:
            log.info("%s: handed back.", job)
