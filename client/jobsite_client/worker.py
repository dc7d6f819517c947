"""One thread that runs handlers, one job after the other."""

import logging
import threading
from collections.abc import Callable
from typing import Any

from .attempts import Attempts
from .job import Job
from .leases import Leases
from .outbox import Report

log = logging.getLogger("jobsite_client")


class Worker(threading.Thread):
    """Runs the jobs in `leases` until the process ends. `handle` runs a job's handler."""

    def __init__(self, leases: Leases, attempts: Attempts, handle: Callable[[Job], Any]) -> None:
        super().__init__(name="jobsite-worker", daemon=True)
        self._leases = leases
        self._attempts = attempts
        self._handle = handle

    def run(self) -> None:
        while True:
            job = self._leases.begin()
            report = None
            try:
                report = None if job.cancelled.is_set() else self._work(job)
            except Exception:
                log.exception("%s: the report could not be made; the job will expire.", job)
            self._attempts.conclude(job, report)

    def _work(self, job: Job) -> Report | None:
        """Run the handler. None: there is nothing to report."""
        began = self._attempts.begin(job)
        try:
            result = self._handle(job)
        except BaseException as error:
            return self._attempts.raised(job, began, error)
        return self._attempts.returned(job, began, result)
