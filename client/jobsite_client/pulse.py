"""Schedule the heartbeats of leases. Sends nothing itself."""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from .backoff import jittered
from .errors import JobsiteError, LeaseLost
from .job import Job
from .messages import Heartbeat, JobId
from .transport import Transport

log = logging.getLogger("jobsite_client")

# A heartbeat is due after a third of the time to the deadline, so two in a row may be lost; within these bounds.
SOONEST, LATEST = 1.0, 30.0
# The interval without a usable deadline (none, or in the past).
ORDINARY = 10.0
# New progress is sent this soon, ahead of the next heartbeat.
PROGRESS_AFTER = 1.0
# After an outage heartbeats are retried sooner than after a whole interval, to keep the leases.
AGAIN_AFTER = 3.0
# The most heartbeats of one exchange, so that even with the longest notes there is room for reports.
HEARTBEATS_LIMIT = 200


@dataclass(frozen=True, slots=True)
class DueHeartbeat:
    """A heartbeat that is due: the job it is for, and the progress it carries."""

    job: Job
    news: tuple[int, str | None] | None

    @property
    def message(self) -> Heartbeat:
        """The heartbeat as sent."""
        progress, note = self.news or (None, None)
        return Heartbeat(self.job.id, self.job.attempt, progress, note)


class Pulse:
    """The heartbeats of this process's jobs. `every` (seconds) replaces the interval that each deadline suggests."""

    def __init__(self, client: Transport, every: float | None) -> None:
        self._client = client
        self._every = every

    def due(self, jobs: Iterable[Job], reported: Iterable[JobId] = ()) -> list[DueHeartbeat]:
        """The heartbeats that are due now, the longest due first; they count as sent.

        Two attempts of one job may be here while the handler of the first ends. An exchange names a job once, so that
        the heartbeat of the other goes with the next one, and so does that of a job which is `reported` in this one.
        """
        now = time.monotonic()
        named = set(reported)
        heartbeats: list[DueHeartbeat] = []
        for job in sorted(jobs, key=lambda job: job.beat_due or now):
            if len(heartbeats) == HEARTBEATS_LIMIT or job.id in named or job.lost or not self._is_due(job, now):
                continue
            named.add(job.id)
            job.beat_at, job.beat_due = now, now + self.interval(job)
            heartbeats.append(DueHeartbeat(job, job.take_news()))
        return heartbeats

    def _is_due(self, job: Job, now: float) -> bool:
        if job.beat_due is None:
            job.lease_for = job.lease_for or self._left(job)
            job.beat_due = job.beat_at + self.interval(job)
        return now >= job.beat_due or (
            job.has_news and now >= job.beat_at + min(PROGRESS_AFTER, self._every or PROGRESS_AFTER)
        )

    def interval(self, job: Job) -> float:
        """Seconds from one heartbeat of this job to the next."""
        if self._every:
            return self._every
        left = self._left(job)
        return min(max(left / 3, SOONEST), LATEST) if left > 0 else ORDINARY

    def _left(self, job: Job) -> float:
        """Seconds to the deadline; 0 when there is none. By our own clock, where the server gave them in seconds."""
        if job.lease_until is not None:
            return job.lease_until - time.monotonic()
        return (job.deadline_at - self._client.server_now()).total_seconds() if job.deadline_at else 0.0

    # --- Outcomes -------------------------------------------------------------------------------------------------

    def held(
        self, heartbeat: DueHeartbeat, deadline_at: datetime | None = None, lease_for: float | None = None
    ) -> None:
        """Note that the lease was renewed: until `deadline_at` or, after an exchange, for as long as at first."""
        job = heartbeat.job
        if deadline_at is None and job.lease_for > 0:
            deadline_at = self._client.server_now() + timedelta(seconds=job.lease_for)
        job.deadline_at = deadline_at or job.deadline_at
        if job.lease_until is not None:
            job.lease_until = time.monotonic() + (lease_for or job.lease_for)
        job.beat_due = time.monotonic() + self.interval(job)

    def not_delivered(self, heartbeat: DueHeartbeat) -> None:
        """Note that it did not arrive: its progress goes with the next one, which is due sooner."""
        heartbeat.job.put_back_news(heartbeat.news)
        heartbeat.job.beat_due = time.monotonic() + min(self.interval(heartbeat.job), jittered(AGAIN_AFTER))

    def refused(self, heartbeat: DueHeartbeat, error: JobsiteError) -> None:
        """Handle a refused heartbeat: the lease was lost, or the call is invalid."""
        if not isinstance(error, LeaseLost) and error.code != "not_found":
            log.error("%s: the server refused a heartbeat: %s", heartbeat.job, error.detail)
            return
        _stop(heartbeat.job, error.explain() if isinstance(error, LeaseLost) else error.detail)

    def lost(self, job: Job, *, cancelled: bool) -> None:
        """Tell the handler that its lease was lost, of which the heartbeat of the process tells no more."""
        _stop(job, "an operator cancelled the job" if cancelled else "it was released or it expired")


def _stop(job: Job, why: str) -> None:
    known = job.lost
    job.stop(f"The lease was lost: {why.removesuffix('.')}.", lost=True)
    # The job's own report ends the lease, too. If the lease was lost before, the report gets the same error.
    if not job.reporting and not known:
        log.warning("%s: the lease was lost, %s. Its handler was asked to stop.", job, why)
