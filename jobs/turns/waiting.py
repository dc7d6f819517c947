"""Long poll: hold claims open until there is a job. One listener for each process; a waiter holds no connection.

After the transaction of a statement that makes jobs pending, one NOTIFY follows (`notifications`): nothing that is
committed depends on it. Every process listens on a connection of its own and wakes as many waiters as there are new
jobs, the longest waiting first; a waiter that gets a job wakes the next, so no notification wakes all of them. Once a
second one waiter of each set of kinds is woken to search for jobs that have become due, and for those whose
notification was lost.
"""

import json
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import psycopg
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from psycopg.errors import InsufficientPrivilege
from psycopg_pool import PoolTimeout

from bots.instances import Instance
from jobs.turns.notifications import ANY_KIND, LISTEN, RECALLS
from jobs.turns.woken import Woken, WokenThread
from jobsite.lib import site
from jobsite.lib.connections.connection import Connection

logger = logging.getLogger(__name__)

#: Seconds between the searches for jobs that have become due.
POLL_INTERVAL = 1.0
#: Seconds after which the listener asks whether the server is still there.
ASK_INTERVAL = 5.0
#: How many waiters, each of another set of kinds, are woken for such a search.
MAX_POLLERS = 50
#: The share of `WEB_THREADS` that calls which wait may hold, where they hold any: the others answer what does not wait.
THREADS_SHARE = 0.8
#: Seconds after which a client should try again when there is no room for another waiter.
RETRY_AFTER = 2


class _Waiter:
    """One call that waits for jobs of these kinds; None: of any. `bot` and `instance` are whose call it is."""

    def __init__(self, kinds: tuple[str, ...] | None, bot: int | None, woken: Woken, instance: str) -> None:
        self.kinds, self.bot, self.woken, self.instance = kinds, bot, woken, instance

    def takes(self, kind: str) -> bool:
        return self.kinds is None or kind == ANY_KIND or kind in self.kinds


class Waiters:
    """All waiting calls of this process, the longest waiting first."""

    def __init__(self) -> None:
        self._waiting: deque[_Waiter] = deque()
        self._of_bots: Counter[int | None] = Counter()
        #: When the next waiter of each set of kinds looks by itself, since something opens then.
        self._opening: dict[tuple[str, ...] | None, float] = {}
        self._lock = threading.Lock()
        self._listener: threading.Thread | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(
        self, kinds: tuple[str, ...] | None, bot: int | None = None, woken: Woken | None = None, instance: str = ""
    ) -> _Waiter | None:
        """Add a waiter. None: too many wait already, in all or of this bot, or the server is shutting down."""
        waiter = _Waiter(kinds, bot, woken or WokenThread(), instance)
        with self._lock:
            if self._closed or len(self._waiting) >= settings.MAX_WAITERS:
                return None
            if bot is not None and self._of_bots[bot] >= settings.MAX_WAITERS_PER_BOT:
                return None
            if isinstance(waiter.woken, WokenThread):
                threads = sum(isinstance(other.woken, WokenThread) for other in self._waiting)
                if threads >= settings.WEB_THREADS * THREADS_SHARE:
                    return None
            self._waiting.append(waiter)
            self._of_bots[bot] += 1
            if self._listener is None or not self._listener.is_alive():
                self._listener = threading.Thread(target=self._listen, name="jobsite-listener", daemon=True)
                self._listener.start()
        return waiter

    async def wait(self, waiter: _Waiter, seconds: float, opens_in: float | None = None) -> bool:
        """Sleep until the waiter is woken, and move it to the end of the queue. False: the time is over.

        `opens_in`: in how many seconds there may be jobs. One waiter of each set of kinds looks then.
        """
        looks = opens_in is not None and opens_in < seconds and self._looks_at(waiter, time.monotonic() + opens_in)
        if not await waiter.woken.wait(opens_in if looks and opens_in is not None else seconds) and not looks:
            return False
        with self._lock:
            waiter.woken.clear()
            self._waiting.remove(waiter)
            self._waiting.append(waiter)
        return True

    def _looks_at(self, waiter: _Waiter, at: float) -> bool:
        """Whether no other waiter of the same kinds looks by then."""
        with self._lock:
            if time.monotonic() < self._opening.get(waiter.kinds, 0.0) <= at:
                return False
            self._opening[waiter.kinds] = at
            return True

    def leave(self, waiter: _Waiter, *, got_job: bool) -> None:
        """Remove the waiter. One that got a job wakes the next: where there was one job there may be others."""
        with self._lock:
            self._waiting.remove(waiter)
            self._of_bots[waiter.bot] -= 1
            if not self._of_bots[waiter.bot]:
                del self._of_bots[waiter.bot]
        if got_job or waiter.woken.is_set():
            # One that was woken and leaves without a job passes its notification on.
            self.wake(dict.fromkeys(waiter.kinds or (ANY_KIND,), 1))

    def wake(self, counts: Mapping[str, int]) -> None:
        """Wake, for each kind, as many waiters that take it as there are new jobs."""
        with self._lock:
            for kind, n in counts.items():
                asleep = (w for w in self._waiting if not w.woken.is_set() and w.takes(kind))
                for waiter, _ in zip(asleep, range(n), strict=False):
                    waiter.woken.set()

    def recall(self, bots: Collection[int], instances: Collection[tuple[int, str]] = ()) -> None:
        """Wake all waiters of these bots, and of these instances, each with its bot."""
        with self._lock:
            for waiter in self._waiting:
                if waiter.bot in bots or (waiter.bot, waiter.instance) in instances:
                    waiter.woken.set()

    def recall_missed(self) -> None:
        """Wake the waiters whose instances have ended or are to restart: no notification comes, or one was lost."""
        with self._lock:
            waiting = {(waiter.bot, waiter.instance) for waiter in self._waiting if waiter.bot is not None}
        if not waiting:
            return
        of_these = Instance.objects.filter(bot__in={bot for bot, _ in waiting}, name__in={name for _, name in waiting})
        recalled = of_these.exclude(ended_at=None, restart_requested_at=None)
        try:
            self.recall((), set(recalled.values_list("bot", "name")))
        except (DatabaseError, InterfaceError, PoolTimeout) as error:
            logger.warning("cannot see which waiting claims are to end, asking again in a second: %s", error)
        finally:
            connection.close()

    def wake_pollers(self) -> None:
        """Wake the longest waiting of each set of kinds. One that finds nothing goes to the end of the queue."""
        with self._lock:
            pollers: dict[Any, _Waiter] = {}
            for waiter in self._waiting:
                if not waiter.woken.is_set():
                    pollers.setdefault(waiter.kinds, waiter)
            for waiter in list(pollers.values())[:MAX_POLLERS]:
                waiter.woken.set()

    def close(self) -> None:
        """Answer all waiting calls now and admit no others: the server is shutting down."""
        with self._lock:
            self._closed = True
            for waiter in self._waiting:
                waiter.woken.set()

    def join(self) -> None:
        """Wait until the listener has ended, after `close`."""
        if self._listener is not None:
            self._listener.join()

    @property
    def closed(self) -> bool:
        return self._closed

    # --- The listener ---------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        while not self._closed:
            try:
                with Connection.connect(**_address(), autocommit=True) as listening:
                    if not listening.pooled:
                        # The role may be one that only listens.
                        with suppress(InsufficientPrivilege):
                            site.compare(listening)
                        self._receive(listening)
                self._poll()
            except (psycopg.Error, OSError) as error:
                logger.warning("cannot listen for new jobs, looking once a second instead: %s", error)
                time.sleep(POLL_INTERVAL)
                self.wake_pollers()
                self.recall_missed()

    def _poll(self) -> None:
        """Search once a second: through a pooler no notification comes."""
        if not self._closed:
            logger.warning("cannot listen through a pooler, looking once a second instead: set LISTEN_DATABASE_URL")
        while not self._closed:
            time.sleep(POLL_INTERVAL)
            self.wake_pollers()
            self.recall_missed()

    def _receive(self, listening: Connection) -> None:
        listening.execute(LISTEN)
        # For notifications that were sent before LISTEN.
        self.wake_pollers()
        self.recall_missed()
        polled = asked = time.monotonic()
        while not self._closed:
            if time.monotonic() - asked >= ASK_INTERVAL:
                # It changes nothing, and a server that has fallen silent does not answer it.
                asked = time.monotonic()
                listening.execute(LISTEN)
            for notification in listening.notifies(timeout=POLL_INTERVAL / 4, stop_after=1):
                self._notified(notification)
            if time.monotonic() - polled >= POLL_INTERVAL:
                polled = time.monotonic()
                self.wake_pollers()

    def _notified(self, notification: psycopg.Notify) -> None:
        with suppress(ValueError, AttributeError, TypeError):
            sent = json.loads(notification.payload)
            if notification.channel == RECALLS:
                self.recall(frozenset(sent))
            else:
                self.wake({str(kind): int(n) for kind, n in sent.items()})


def _address() -> dict[str, Any]:
    """Parameters of the listener's own connection: LISTEN does not work through a pooler in transaction mode."""
    if settings.LISTEN_DATABASE_URL:
        return {"conninfo": settings.LISTEN_DATABASE_URL}
    params = connection.get_connection_params()
    return {k: v for k, v in params.items() if k not in ("context", "cursor_factory", "prepare_threshold")}


waiters = Waiters()


Result = TypeVar("Result")


async def poll(
    claim: Callable[[], Awaitable[tuple[Result, bool]]],
    kinds: tuple[str, ...] | None,
    seconds: float,
    bot: int | None = None,
    woken: Woken | None = None,
    instance: str = "",
    opens_in: Callable[[Result], float | None] | None = None,
) -> tuple[Result | None, bool]:
    """Claim now and after each notification, until that is final, the time is over, or the client has hung up.

    `claim` returns a result and whether it is final; `opens_in` takes from it in how many seconds there may be jobs.
    Returns the last result, and whether there was room to wait: without it the client should try again after
    `RETRY_AFTER` seconds.
    """
    end = time.monotonic() + seconds
    woken = woken or WokenThread()
    waiter = waiters.enter(kinds, bot, woken, instance)
    if waiter is None:
        woken.close()
        return None, False
    result, final = None, False
    try:
        # The first time for jobs that came between the caller's own claim and `enter`. A job that goes to a client
        # that is gone is stuck until its time limit.
        while not waiters.closed and not woken.gone:
            result, final = await claim()
            if final:
                break
            release_connection()
            again = None if opens_in is None or result is None else opens_in(result)
            if not await waiters.wait(waiter, end - time.monotonic(), again):
                break
    finally:
        woken.close()
        waiters.leave(waiter, got_job=final)
    return result, not waiters.closed


def release_connection() -> None:
    """Return this thread's connection to the pool: a call that waits or has ended needs none."""
    if connection.connection is not None and not connection.in_atomic_block:
        connection.close()
