"""When each lease's next heartbeat is due, and what it says. It sends nothing by itself."""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from .backoff import jittered
from .errors import JobsiteError, LeaseLost
from .job import Job
from .messages import Heartbeat
from .transport import Transport

log = logging.getLogger("jobsite_client")

# A heartbeat is due after a third of the time to the deadline, so two in a row may be lost; within these bounds.
SOONEST, LATEST = 1.0, 30.0
# A lease whose deadline says nothing (there is none, or it has passed for another reason).
ORDINARY = 10.0
# New progress goes out this soon, ahead of the next heartbeat.
PROGRESS_AFTER = 1.0
# After an outage the leases are the first thing to save, so the next try does not wait for a whole interval.
AGAIN_AFTER = 3.0
# The most heartbeats of one exchange, so that even with the longest notes they leave most of it to reports.
BEATS_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat that is due: the job it is for, and the progress it carries."""

    job: Job
    news: tuple[int, str | None] | None

    @property
    def said(self) -> Heartbeat:
        """As the server is to hear it."""
        progress, note = self.news or (None, None)
        return Heartbeat(self.job.id, self.job.attempt, progress, note)


class Pulse:
    """The heartbeats of this process's jobs. `every` (seconds) replaces the interval that each deadline suggests."""

    def __init__(self, client: Transport, every: float | None) -> None:
        self._client = client
        self._every = every

    def due(self, jobs: Iterable[Job]) -> list[Beat]:
        """The heartbeats that are due now, the longest due first; they count as sent."""
        now = time.monotonic()
        due = [job for job in jobs if not job.lost and self._is_due(job, now)]
        due.sort(key=lambda job: job.beat_due or now)
        beats = []
        for job in due[:BEATS_LIMIT]:
            job.beat_at, job.beat_due = now, now + self.interval(job)
            beats.append(Beat(job, job.take_news()))
        return beats

    def _is_due(self, job: Job, now: float) -> bool:
        if job.beat_due is None:
            job.lease_for = self._left(job)
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
        """Seconds to the deadline; 0 when there is none."""
        return (job.deadline_at - self._client.server_now()).total_seconds() if job.deadline_at else 0.0

    # --- What became of it ----------------------------------------------------------------------------------------

    def held(self, beat: Beat, deadline_at: datetime | None = None) -> None:
        """The lease was renewed, until `deadline_at` or, as an exchange does not say, for as long as at first."""
        job = beat.job
        if deadline_at is None and job.lease_for > 0:
            deadline_at = self._client.server_now() + timedelta(seconds=job.lease_for)
        job.deadline_at = deadline_at or job.deadline_at
        job.beat_due = time.monotonic() + self.interval(job)

    def unheard(self, beat: Beat) -> None:
        """It did not arrive: its news go with the next one, which is due sooner."""
        beat.job.put_back_news(beat.news)
        beat.job.beat_due = time.monotonic() + min(self.interval(beat.job), jittered(AGAIN_AFTER))

    def refused(self, beat: Beat, error: JobsiteError) -> None:
        """The server did not take it: the lease was lost, or something is wrong with the call."""
        if not isinstance(error, LeaseLost) and error.code != "not_found":
            log.error("%s: the server refused a heartbeat: %s", beat.job, error.detail)
            return
        why = error.explain() if isinstance(error, LeaseLost) else error.detail
        beat.job.stop(f"The lease was lost, {why}", lost=True)
        # Its own report ends a lease too, which is no loss; and if it was lost, the report will be told the same.
        if not beat.job.reporting:
            log.warning("%s: the lease was lost, %s. The handler was told to stop.", beat.job, why)
