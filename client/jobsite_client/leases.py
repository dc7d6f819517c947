"""The jobs this process holds, and its room for more."""

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from queue import Empty, SimpleQueue

from .job import Job
from .messages import JobId, Slots

# The most jobs the server gives for one claim.
CLAIM_LIMIT = 1000


class Leases:
    """Jobs that wait for a worker, are worked on, or have ended and are not reported yet. Thread-safe.

    There is room for `slots` jobs and `prefetch` more. A job takes it up until its handler has ended: longer than a
    lost lease, because nothing can stop a thread from outside. Room is reserved for a claim until it is answered, so
    that two claims under way never ask for the same room.

    If a claim's answer is lost, the bot may hold jobs that it does not know (`unknown`). A hello with what it does know
    releases them, while no other claim is under way. Until then no job is claimed.
    """

    def __init__(self, slots: int, prefetch: int = 0, grace: float = 0.0) -> None:
        self._slots = slots
        self._capacity = slots + prefetch
        self._grace = grace
        self._arrived: Callable[[], None] | None = None
        self._jobs: set[Job] = set()
        self._finished: set[Job] = set()
        self._todo: SimpleQueue[Job] = SimpleQueue()
        self._promised = 0
        self._unknown = False
        self._rested_at = 0.0
        self._closed = False
        self._changed = threading.Condition()

    # --- Room and claims ------------------------------------------------------------------------------------------

    def reserve(self) -> int:
        """Reserve all free room for a claim, perhaps none. Then `settle` or `lose` it."""
        with self._changed:
            return self._reserve()

    def reserve_when_idle(self) -> int | None:
        """Wait until there is room and no report to carry a claim along, and reserve the room. None once closed.

        0: the bot may hold unknown jobs, and no claim is under way. Say hello with `held`, then `forget_unknown`.
        """
        with self._changed:
            while not self._closed:
                if self._unknown and not self._promised:
                    return 0
                if not self._finished and (room := self._reserve()):
                    return room
                left = self._rested_at - time.monotonic()
                self._changed.wait(left if left > 0 else None)
            return None

    def _reserve(self) -> int:
        if self._closed or self._unknown or time.monotonic() < self._rested_at:
            return 0
        room = min(self._capacity - len(self._jobs) + len(self._finished) - self._promised, CLAIM_LIMIT)
        self._promised += room
        return room

    def settle(self, promised: int, jobs: Iterable[Job] = ()) -> bool:
        """Take in the jobs of an answered claim. Returns False if closed, when none is taken."""
        with self._changed:
            self._promised -= promised
            if not self._closed:
                for job in jobs:
                    self._jobs.add(job)
                    self._todo.put(job)
            self._changed.notify_all()
            taken = not self._closed
        if self._arrived:
            self._arrived()
        return taken

    def lose(self, promised: int) -> None:
        """Note that a claim's answer was lost, and the bot may hold unknown jobs."""
        with self._changed:
            self._promised -= promised
            self._unknown = True
            self._changed.notify_all()

    def rest(self, seconds: float) -> None:
        """Pause claims for so long, as the server asked."""
        with self._changed:
            self._rested_at = max(self._rested_at, time.monotonic() + seconds)
            self._changed.notify_all()

    def held(self) -> list[tuple[JobId, int]]:
        """The leases that the bot knows of: `(job, attempt)`."""
        with self._changed:
            return [(job.id, job.attempt) for job in self._jobs]

    def forget_unknown(self) -> None:
        """Note that a hello has released the unknown jobs."""
        with self._changed:
            self._unknown = False
            self._changed.notify_all()

    # --- Jobs -----------------------------------------------------------------------------------------------------

    def begin(self) -> Job:
        """Wait for the next job for a worker, and return it."""
        job = self._todo.get()
        job.begun_at = time.monotonic()
        return job

    def call_on_arrival(self, arrived: Callable[[], None]) -> None:
        """Have this called whenever jobs were taken in, for what does not wait in `begin`."""
        self._arrived = arrived

    def begin_now(self) -> Job | None:
        """The next job for a worker, or None while there is none."""
        try:
            job = self._todo.get_nowait()
        except Empty:
            return None
        job.begun_at = time.monotonic()
        return job

    @property
    def waiting(self) -> int:
        """The approximate number of jobs that wait for a worker."""
        return self._todo.qsize()

    def finish(self, job: Job) -> None:
        """Note that its handler has ended: there is room for another job, and a report is due."""
        with self._changed:
            job.reporting = True
            self._finished.add(job)

    def remove(self, *jobs: Job) -> None:
        """Remove jobs that are reported or need no report."""
        with self._changed:
            self._jobs.difference_update(jobs)
            self._finished.difference_update(jobs)
            self._changed.notify_all()

    def close(self) -> list[Job]:
        """Stop taking in jobs. Removes and returns those that no worker had begun."""
        with self._changed:
            self._closed = True
            not_begun: list[Job] = []
            with suppress(Empty):
                while True:
                    not_begun.append(self._todo.get_nowait())
            self._jobs.difference_update(not_begun)
            self._changed.notify_all()
            return not_begun

    # --- Queries --------------------------------------------------------------------------------------------------

    def running(self) -> list[Job]:
        """The jobs whose handler has not ended, including those whose lease was lost."""
        with self._changed:
            return list(self._jobs - self._finished)

    def hung(self) -> list[Job]:
        """The jobs whose handler was asked to stop longer than `grace` ago and has not ended: their slots are lost."""
        return [job for job in self.running() if job.begun_at is not None and job.stopped_for() > self._grace]

    def slots(self) -> Slots:
        """The room of this process. A lost slot is not free until its handler ends."""
        lost = len(self.hung())
        return Slots(self._slots, max(self._slots - max(len(self.running()), lost), 0), lost)

    def wait_until_reported(self, seconds: float) -> bool:
        """Wait up to `seconds` until no report is outstanding. Returns whether there is none."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._finished, timeout=max(seconds, 0.0))

    def wait_until_empty(self, seconds: float) -> bool:
        """Wait up to `seconds` until there are no jobs. Returns whether there are none."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._jobs, timeout=max(seconds, 0.0))

    def __len__(self) -> int:
        with self._changed:
            return len(self._jobs)
