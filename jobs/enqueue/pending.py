"""Refuse new jobs while too many are pending: of their kind (`max_pending`), or of all (`MAX_PENDING`).

A process keeps a figure for each bound: a count of the index of pending jobs, which stops at the bound, and what was
added in this process since. It counts again when that costs no more than a small share of its time. Between two counts
a bound may be passed by what other processes add (docs/decisions/0020-too-many-pending.md).
"""

import math
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic

from jobs.enqueue.statements import run
from jobs.errors import TooManyPending

#: The bound on the jobs of all kinds. No kind can be called so.
ALL = ""
#: Counting takes at most one part in so many of the time, and more often where new jobs would be refused.
SHARE, SHARE_WHEN_FULL = 100, 10
#: What is counted within so many seconds is counted again before anything is refused.
QUICK = 0.01


@dataclass
class _Figure:
    n: int = 0
    counted_at: float = -math.inf
    took: float = 0.0

    def is_old(self, now: float, *, full: bool) -> bool:
        pause = SHARE_WHEN_FULL * max(0.0, self.took - QUICK) if full else SHARE * self.took
        return now - self.counted_at >= pause


class Figures:
    """How many jobs are pending, as one process knows it. Thread-safe."""

    def __init__(self) -> None:
        self._figures: dict[str, _Figure] = {}
        self._lock = threading.Lock()

    def admit(self, bounds: Mapping[str, int], new: Counter[str]) -> None:
        """Add these new jobs, by kind, to the figures. TooManyPending, and nothing is added, when they are too many.

        `bounds`: of those kinds that have one, and of `ALL`.
        """
        if self._add_known(bounds, new):
            return
        for name, most in bounds.items():
            self._refresh(name, most, _number(new, name))
        with self._lock:
            check(bounds, {name: self._figures[name].n for name in bounds}, new)
            self._add(bounds, new)

    def admit_counted(self, bounds: Mapping[str, int], new: Counter[str], created: Callable[[], Counter[str]]) -> None:
        """The same. Before it refuses, `created` counts, by a query, those of the new jobs whose key no other has."""
        try:
            self.admit(bounds, new)
        except TooManyPending:
            self.admit(bounds, created())

    def pending(self, bounds: Mapping[str, int]) -> dict[str, int]:
        """How many jobs are pending under each of these bounds: for `check`, while nothing can be counted."""
        for name, most in bounds.items():
            self._refresh(name, most, 1)
        with self._lock:
            return {name: self._figures[name].n for name in bounds}

    def add(self, bounds: Mapping[str, int], new: Counter[str]) -> None:
        """Add jobs that were checked by `check`."""
        with self._lock:
            self._add(bounds, new)

    def _add_known(self, bounds: Mapping[str, int], new: Counter[str]) -> bool:
        """Add the jobs if all figures are fresh and have room: nearly every call."""
        now = monotonic()
        with self._lock:
            for name, most in bounds.items():
                figure = self._figures.get(name)
                if figure is None or figure.is_old(now, full=False) or figure.n + _number(new, name) > most:
                    return False
            self._add(bounds, new)
        return True

    def _add(self, bounds: Mapping[str, int], new: Counter[str]) -> None:
        for name in bounds:
            self._figures[name].n += _number(new, name)

    def _refresh(self, name: str, most: int, n: int) -> None:
        now = monotonic()
        with self._lock:
            figure = self._figures.setdefault(name, _Figure())
            if not figure.is_old(now, full=figure.n + n > most):
                return
            # Set when the count starts and not when it ends: one thread at a time is enough.
            figure.counted_at, before = now, figure.n
        counted = self._count(name, most)
        with self._lock:
            figure.n = counted + figure.n - before
            figure.took = monotonic() - now

    def _count(self, name: str, most: int) -> int:
        rows = run("pending_of_all", most=most) if name == ALL else run("pending_of_kind", kind=name, most=most)
        return int(rows[0]["n"])


class Ahead:
    """Jobs that are added while nothing can be counted: `new` is how many there are by now."""

    def __init__(self, bounds: Mapping[str, int], new: Counter[str]) -> None:
        self._bounds, self._new = bounds, new
        self._before = figures.pending(bounds)

    def check(self) -> None:
        """TooManyPending when they are too many by now."""
        check(self._bounds, self._before, self._new)

    def add(self) -> None:
        """Add them to the figures."""
        figures.add(self._bounds, self._new)


def check(bounds: Mapping[str, int], pending: Mapping[str, int], new: Counter[str]) -> None:
    """TooManyPending when these new jobs are too many, beside those that were `pending` before."""
    for name, most in bounds.items():
        n = _number(new, name)
        if n and pending[name] + n > most:
            raise too_many(name, pending[name], n, most)


def _number(new: Counter[str], name: str) -> int:
    return sum(new.values()) if name == ALL else new[name]


def too_many(name: str, pending: int, new: int, most: int) -> TooManyPending:
    """Return the refusal of `new` jobs by the bound of this name."""
    what, limit = ("jobs of all kinds", "`MAX_PENDING`") if name == ALL else (f"{name} jobs", "its `max_pending`")
    return TooManyPending(
        f"{pending} {what} are pending, and {new} more would pass the limit of {most} ({limit}). "
        "Nothing was enqueued; try again later.",
        kind=name or None, pending=pending, new=new, max_pending=most,
    )  # fmt: skip


figures = Figures()
