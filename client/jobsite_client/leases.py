"""The jobs in this process's hands, and the room it has for more."""

import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from queue import Empty, SimpleQueue

from .job import Job

# The most jobs the server gives for one claim.
CLAIM_LIMIT = 1000


class Leases:
    """Jobs that wait for a worker, are worked on, or have ended and are not reported yet; safe in every thread.

    A job takes up room, of which there is `capacity`, until its handler has ended: longer than its lease, if that
    was lost, because nothing can stop a thread from outside. Room that a claim has asked jobs for is promised to it
    until it is answered, so two claims under way never ask for the same.

    A claim whose answer was lost leaves jobs with us of which we know nothing (`unknown`). Only a hello gives them
    back, and only while nothing else is held, so for `drain_for` seconds no more is taken, that it may come to that.
    """

    def __init__(self, capacity: int, *, drain_for: float = 0.0) -> None:
        self._capacity = capacity
        self._drain_for = drain_for
        self._jobs: set[Job] = set()
        self._finished: set[Job] = set()
        self._todo: SimpleQueue[Job] = SimpleQueue()
        self._promised = 0
        self._unknown = False
        self._drained_at = 0.0
        self._rested_at = 0.0
        self._closed = False
        self._changed = threading.Condition()

    # --- Room and claims ------------------------------------------------------------------------------------------

    def reserve(self) -> int:
        """Promise a claim all the room there is now, perhaps none; `settle` or `lose` it."""
        with self._changed:
            return self._reserve()

    def reserve_when_idle(self) -> int:
        """Wait until there is room and no report to carry a claim along, and promise the room; 0 once closed."""
        with self._changed:
            while not self._closed:
                if not self._finished and (room := self._reserve()):
                    return room
                left = max(self._rested_at, self._drained_at) - time.monotonic()
                self._changed.wait(left if left > 0 else None)
            return 0

    def _reserve(self) -> int:
        now = time.monotonic()
        draining = self._unknown and self._jobs and now < self._drained_at
        if self._closed or draining or now < self._rested_at:
            return 0
        room = min(self._capacity - len(self._jobs) + len(self._finished) - self._promised, CLAIM_LIMIT)
        self._promised += room
        return room

    def settle(self, promised: int, jobs: Iterable[Job] = ()) -> bool:
        """The claim was answered: take these jobs in, all or, once closed, none; says which."""
        with self._changed:
            self._promised -= promised
            if not self._closed:
                for job in jobs:
                    self._jobs.add(job)
                    self._todo.put(job)
            self._changed.notify_all()
            return not self._closed

    def lose(self, promised: int) -> None:
        """The claim's answer was lost, and perhaps with it the names of jobs that are now ours."""
        with self._changed:
            self._promised -= promised
            self._unknown = True
            self._drained_at = time.monotonic() + self._drain_for
            self._changed.notify_all()

    def rest(self, seconds: float) -> None:
        """No claims for so long: the server asked for that."""
        with self._changed:
            self._rested_at = max(self._rested_at, time.monotonic() + seconds)
            self._changed.notify_all()

    def only_unknown(self, promised: int) -> bool:
        """Whether jobs of which we know nothing are all we can hold, beside the caller's own promise."""
        with self._changed:
            return self._unknown and not self._jobs and self._promised == promised

    def forget_unknown(self) -> None:
        """A hello has given them back."""
        with self._changed:
            self._unknown = False

    # --- A job's way ----------------------------------------------------------------------------------------------

    def begin(self) -> Job:
        """The next job for a worker; waits for one."""
        return self._todo.get()

    @property
    def waiting(self) -> int:
        """How many jobs wait for a worker, about."""
        return self._todo.qsize()

    def finish(self, job: Job) -> None:
        """Its handler has ended: there is room for another, and a report to come."""
        with self._changed:
            job.reporting = True
            self._finished.add(job)

    def remove(self, *jobs: Job) -> None:
        """These are done with: reported, or not to be reported at all."""
        with self._changed:
            self._jobs.difference_update(jobs)
            self._finished.difference_update(jobs)
            self._changed.notify_all()

    def close(self) -> list[Job]:
        """Take in no more jobs. Returns those that no worker had begun; they are here no longer."""
        with self._changed:
            self._closed = True
            unbegun: list[Job] = []
            with suppress(Empty):
                while True:
                    unbegun.append(self._todo.get_nowait())
            self._jobs.difference_update(unbegun)
            self._changed.notify_all()
            return unbegun

    # --- Questions ------------------------------------------------------------------------------------------------

    def running(self) -> list[Job]:
        """The jobs here whose handler has not ended, those whose lease was lost among them."""
        with self._changed:
            return list(self._jobs - self._finished)

    def wait_until_reported(self, seconds: float) -> bool:
        """Wait until no report is outstanding, no longer than this; says whether there is none."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._finished, timeout=max(seconds, 0.0))

    def wait_until_empty(self, seconds: float) -> bool:
        """Wait until there are no jobs here, no longer than this; says whether there are none."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._jobs, timeout=max(seconds, 0.0))

    def __len__(self) -> int:
        with self._changed:
            return len(self._jobs)
