"""Remember where a process last found pending jobs. Pure: clocks and costs come in.

Normally every claim searches from the beginning, and the first entry that it reads is the next job. But while an old
snapshot is held open (a backup, a forgotten psql), PostgreSQL cannot remove the index entries of claimed jobs, and each
claim reads past all of them. Only then does a process start each search at the position where the last one found work:
the *frontier* of that priority. What appears before a frontier (a job released, retried, or of a new priority) is found
by a search from the beginning, which is made once ten times the duration of the last one has passed, and after
`MAX_INTERVAL` seconds at the latest.
"""

import threading
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

#: Searches from the beginning take at most 1/TIME_SHARE of the time …
TIME_SHARE = 10
#: … and are at most this many seconds apart.
MAX_INTERVAL = 0.9
#: Seconds allowed for each job found, beside those for the search, before a search counts as slow.
SECONDS_PER_JOB = 0.0005
#: How many priorities of a frontier are remembered (the lowest is dropped), and how many frontiers.
MAX_PRIORITIES, MAX_FRONTIERS = 100, 1000


class Position(NamedTuple):
    """A position in the order of pending jobs of one priority: `run_at` (as PostgreSQL writes it), then id."""

    run_at: str
    id: int


@dataclass(frozen=True)
class Start:
    """Where to start: a position for each known priority. The statement finds lower priorities by itself."""

    positions: dict[int, Position]

    @property
    def from_beginning(self) -> bool:
        """Whether the search reads everything."""
        return not self.positions


FROM_BEGINNING = Start({})


@dataclass(frozen=True)
class Search:
    """The result of a search: jobs found of those wanted, the last of them, when it was made, its duration."""

    found: int
    wanted: int
    priority: int | None
    position: Position | None
    at: str
    took: float


@dataclass
class _Frontier:
    positions: dict[int, Position] = field(default_factory=dict)
    #: When the last search from the beginning was started, and how long it took.
    searched_at: float = 0.0
    cost: float = 0.0


class Frontiers:
    """The frontiers of one process, one for each set of kinds that claims take. Thread-safe."""

    def __init__(self) -> None:
        self._frontiers: dict[Hashable, _Frontier] = {}
        self._lock = threading.Lock()

    def start(self, key: Hashable, now: float) -> Start:
        """Return where a claim of these kinds starts its search (`now`: seconds of a monotonic clock)."""
        frontier = self._frontiers.get(key)
        if frontier is None:
            return FROM_BEGINNING
        with self._lock:
            interval = min(MAX_INTERVAL, TIME_SHARE * frontier.cost)
            if not frontier.positions or now - frontier.searched_at >= interval:
                # Set when the search starts and not when it ends: one thread at a time is enough.
                frontier.searched_at = now
                return FROM_BEGINNING
            return Start(dict(frontier.positions))

    def record(self, key: Hashable, start: Start, search: Search, now: float, slow: float) -> None:
        """Record a search that began at `start`. `slow`: seconds that one may take before a frontier pays off."""
        frontier = self._frontiers.get(key)
        if start.from_beginning and search.took <= slow + SECONDS_PER_JOB * search.found:
            if frontier is not None:
                with self._lock:
                    self._frontiers.pop(key, None)
            return
        with self._lock:
            if frontier is None:
                if not start.from_beginning:
                    return
                if len(self._frontiers) >= MAX_FRONTIERS:
                    self._frontiers.clear()
                frontier = self._frontiers.setdefault(key, _Frontier())
            if start.from_beginning:
                frontier.searched_at, frontier.cost = now, search.took
            self._advance(frontier, search)

    def _advance(self, frontier: _Frontier, search: Search) -> None:
        # A job before the last one found is held by another claim, or the next search from the beginning finds it.
        passed = Position(search.at, 0)
        if search.priority is not None and search.position is not None:
            frontier.positions[search.priority] = search.position
        # The search read all of every priority, or all of those above the one of its last job.
        exhausted = search.found < search.wanted
        for priority in frontier.positions:
            if exhausted or (search.priority is not None and priority > search.priority):
                frontier.positions[priority] = passed
        while len(frontier.positions) > MAX_PRIORITIES:
            del frontier.positions[min(frontier.positions)]
