"""Who may hold a connection now. Knows no pool and no database.

A connection that waits for a locked row is of no use to others. So the pool is divided: some places are for probes,
people, API keys and bots each, the rest for all that need it; and the calls of one caller get a few of them at most.
A call that finds no place waits without a connection, and only so many of one caller do.
"""

import threading
import time
from collections import deque
from contextvars import ContextVar
from enum import IntEnum
from typing import NamedTuple

from psycopg_pool import PoolTimeout

#: How many calls of one caller wait for a place, and repeats of a slow call. Further ones are refused at once.
MAX_WAITING, MAX_REPEATS_WAITING = 64, 16
#: Seconds after which a call is slow, perhaps because of a locked row.
SLOW_AFTER = 0.1
#: Seconds that a repeat waits for the same call to end: as long as that may wait for a lock.
REPEAT_WAIT = 3.0


class Kind(IntEnum):
    """Who calls."""

    PROBE = 0
    PERSON = 1
    KEY = 2
    BOT = 3


#: The part of all places that only callers of a kind may take: one of so many, and one at least.
OWN = {Kind.PROBE: 16, Kind.PERSON: 8, Kind.KEY: 6, Kind.BOT: 4}


class Caller(NamedTuple):
    """Who makes a call: a token, or a browser's cookies. `call`: what repeats of it have in common.

    Either may be empty.
    """

    kind: Kind
    who: str = ""
    call: str = ""


class NoPlace(PoolTimeout):
    """There is no place for this call. It did nothing; its text says why."""


_caller: ContextVar[Caller | None] = ContextVar("jobsite_caller", default=None)


def current() -> Caller | None:
    """The caller of the request of this thread. None: it is none, but a command or a thread of the server."""
    return _caller.get()


class held_by:  # noqa: N801  called like a function
    """Take what is done within as calls of this caller. A class, since every request passes it."""

    __slots__ = ("_caller", "_token")

    def __init__(self, caller: Caller | None) -> None:
        self._caller = caller

    def __enter__(self) -> None:
        self._token = _caller.set(self._caller)

    def __exit__(self, *error: object) -> None:
        _caller.reset(self._token)


class _Waiting:
    """A call that waits for its place."""

    __slots__ = ("caller", "ready", "taken")

    def __init__(self, caller: Caller | None) -> None:
        self.caller = caller
        self.ready = threading.Event()
        self.taken = False


class Places:
    """As many places as the pool has connections.

    This is done for each statement of a bot, so it counts in plain lists and dicts.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.own = [max(1, size // OWN[kind]) if size >= len(Kind) else 0 for kind in Kind]
        self.shared = size - sum(self.own)
        #: How many one caller may have.
        self.most = max(1, size // 5)
        self._lock = threading.Lock()
        self._taken = 0
        #: How many callers of each kind have, and how many of these are not their own.
        self._of_kind = [0] * len(Kind)
        self._borrowed = 0
        self._of_who: dict[str, int] = {}
        #: Since when the calls that have one have it.
        self._calls: dict[str, float] = {}
        self._queue: deque[_Waiting] = deque()

    @property
    def waiting(self) -> int:
        """How many calls wait for a place."""
        return len(self._queue)

    def take(self, caller: Caller | None, seconds: float) -> None:
        """Take a place, waiting at most so long for it. NoPlace when there is none."""
        with self._lock:
            if self._take(caller):
                return
            repeats = caller is not None and caller.call in self._calls
            self._check_queue(caller, repeats=repeats)
            waiting = _Waiting(caller)
            self._queue.append(waiting)
        waiting.ready.wait(max(0.0, min(seconds, REPEAT_WAIT) if repeats else seconds))
        with self._lock:
            if waiting.taken:
                return
            self._queue.remove(waiting)
        raise NoPlace(_why(caller, repeats=repeats))

    def give_back(self, caller: Caller | None) -> None:
        """Give a place back: to the first that waits and may have it."""
        with self._lock:
            self._give_back(caller)
            for waiting in self._queue:
                if self._take(waiting.caller):
                    waiting.taken = True
                    self._queue.remove(waiting)
                    waiting.ready.set()
                    return

    def has_slow_call(self, caller: Caller | None) -> bool:
        """Whether the same call has had a place for a while."""
        since = None if caller is None else self._calls.get(caller.call)
        return since is not None and time.monotonic() - since > SLOW_AFTER

    def _take(self, caller: Caller | None) -> bool:
        """Take a place, if there is one for this caller."""
        if caller is None:
            if self._taken >= self.size:
                return False
            self._taken += 1
            return True
        kind, who, call = caller
        if call in self._calls:
            return False
        of_who = self._of_who.get(who, 0) if who else 0
        if of_who >= self.most:
            return False
        if self._of_kind[kind] >= self.own[kind]:
            if self._borrowed >= self.shared or self._taken >= self.size:
                return False
            self._borrowed += 1
        self._of_kind[kind] += 1
        self._taken += 1
        if who:
            self._of_who[who] = of_who + 1
        if call:
            self._calls[call] = time.monotonic()
        return True

    def _give_back(self, caller: Caller | None) -> None:
        self._taken -= 1
        if caller is None:
            return
        kind, who, call = caller
        if self._of_kind[kind] > self.own[kind]:
            self._borrowed -= 1
        self._of_kind[kind] -= 1
        if who:
            if self._of_who[who] == 1:
                del self._of_who[who]
            else:
                self._of_who[who] -= 1
            self._calls.pop(call, None)

    def _check_queue(self, caller: Caller | None, *, repeats: bool) -> None:
        if caller is None or not caller.who:
            return
        same = [waiting.caller for waiting in self._queue if waiting.caller and waiting.caller.who == caller.who]
        stuck = self.has_slow_call(caller) and same.count(caller) >= MAX_REPEATS_WAITING
        if stuck or len(same) >= MAX_WAITING:
            raise NoPlace(_why(caller, repeats=repeats))


def _why(caller: Caller | None, *, repeats: bool) -> str:
    if repeats:
        return "The same call is still being carried out. Nothing was changed by this one; try again."
    if caller is not None and caller.who:
        return "Too many calls of yours are being carried out, or the database is busy. Nothing was changed; try again."
    return "The database is busy. Nothing was changed; try again."
