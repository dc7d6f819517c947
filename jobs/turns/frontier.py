"""Where a process starts to look for pending jobs. Pure: clocks and costs come in.

Normally every claim looks from the beginning, and what it finds first is next. But while an old snapshot is held open
(a backup, a forgotten psql), PostgreSQL cannot take the index entries of jobs that have been claimed out of its way,
and each claim walks over all of them. Then, and only then, a process starts each look at the place where the last one
found work: the *floor* of that priority. What appears below a floor (a job released, retried, or of a new priority) is
found by a look from the beginning, which is made when the last one is ten times as long ago as it took, and after
`LONGEST` seconds at the latest.
"""

import threading
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

#: Looks from the beginning may take one part in so many of the time …
SHARE = 10
#: … and are this long apart at the most, in seconds.
LONGEST = 0.9
#: Each job found may take so long before a look counts as slow, in seconds, beside the slowness allowed for each look.
PER_JOB = 0.0005
#: Priorities and sorts of claim that are remembered; with more, those of least use are forgotten.
MOST_RANKS, MOST_KEYS = 100, 1000


class Place(NamedTuple):
    """A place in the order of pending jobs: within one priority by `run_at` (as PostgreSQL writes it), then id."""

    run_at: str
    id: int


@dataclass(frozen=True)
class Start:
    """Where to look: a place for each known priority. Below the lowest the statement finds priorities by itself."""

    ranks: dict[int, Place]

    @property
    def whole(self) -> bool:
        """Whether this looks at everything."""
        return not self.ranks


WHOLE = Start({})


@dataclass(frozen=True)
class Look:
    """What a look came to: how many jobs it found of how many asked for, the last of them, when, how long it took."""

    found: int
    wanted: int
    priority: int | None
    place: Place | None
    at: str
    took: float


@dataclass
class _Floor:
    ranks: dict[int, Place] = field(default_factory=dict)
    looked_at: float = 0.0
    cost: float = 0.0


class Floors:
    """The floors of one process, for each sort of claim (the kinds it takes). Safe to use from every thread."""

    def __init__(self) -> None:
        self._floors: dict[Hashable, _Floor] = {}
        self._lock = threading.Lock()

    def start(self, key: Hashable, now: float) -> Start:
        """Where a claim of this sort should look now (`now` in seconds, of a clock that never goes back)."""
        floor = self._floors.get(key)
        if floor is None:
            return WHOLE
        with self._lock:
            if not floor.ranks or now - floor.looked_at >= min(LONGEST, SHARE * floor.cost):
                # From now on, and not when it is done: one thread at a time is enough.
                floor.looked_at = now
                return WHOLE
            return Start(dict(floor.ranks))

    def note(self, key: Hashable, start: Start, look: Look, now: float, slow: float) -> None:
        """A look that began at `start` has ended. `slow`: seconds a look may take before floors are worth while."""
        floor = self._floors.get(key)
        if start.whole and look.took <= slow + PER_JOB * look.found:
            if floor is not None:
                with self._lock:
                    self._floors.pop(key, None)
            return
        with self._lock:
            if floor is None:
                if not start.whole:
                    return
                if len(self._floors) >= MOST_KEYS:
                    self._floors.clear()
                floor = self._floors.setdefault(key, _Floor())
            if start.whole:
                floor.looked_at, floor.cost = now, look.took
            self._raise(floor, look)

    def _raise(self, floor: _Floor, look: Look) -> None:
        # Whatever stands before the last job found, was found by somebody or will be by the next whole look.
        passed = Place(look.at, 0)
        if look.priority is not None and look.place is not None:
            floor.ranks[look.priority] = look.place
        # It came to the end of every priority, or of those above the one where it found its last job.
        ended = look.found < look.wanted
        for priority in floor.ranks:
            if ended or (look.priority is not None and priority > look.priority):
                floor.ranks[priority] = passed
        while len(floor.ranks) > MOST_RANKS:
            del floor.ranks[min(floor.ranks)]
