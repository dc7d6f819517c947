"""The jobs that this process works on now, and the room it has for more."""

import threading
from collections.abc import Iterable

from .job import Job


class Leases:
    """A set of jobs, with room for `capacity`; safe to use from every thread.

    A job takes up room until its handler has ended and its report is out: longer than its lease, if that was lost,
    because nothing can stop a thread from outside.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._jobs: set[Job] = set()
        self._closed = False
        self._changed = threading.Condition()

    def add(self, jobs: Iterable[Job]) -> bool:
        """Take these jobs in, all or, once closed, none; says which."""
        with self._changed:
            if not self._closed:
                self._jobs.update(jobs)
            return not self._closed

    def remove(self, job: Job) -> None:
        """This job is done with."""
        with self._changed:
            self._jobs.discard(job)
            self._changed.notify_all()

    def close(self) -> None:
        """Take in no more jobs."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait_for_room(self) -> int:
        """Wait until there is room, and say for how many jobs; 0 once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._jobs) < self._capacity)
            return 0 if self._closed else self._capacity - len(self._jobs)

    def wait_until_empty(self, seconds: float) -> bool:
        """Wait until there are no jobs here, no longer than this; says whether there are none."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._jobs, timeout=seconds)

    def all(self) -> list[Job]:
        """The jobs that are here now, those whose lease was lost among them."""
        with self._changed:
            return list(self._jobs)

    def __len__(self) -> int:
        with self._changed:
            return len(self._jobs)
