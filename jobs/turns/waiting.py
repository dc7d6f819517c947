"""Claims that are held open until there is a job. One listener for each process, and no connection held by a waiter.

Whoever makes jobs pending says so once for each statement (`announce`), after its transaction, by NOTIFY. Every process
listens on a connection of its own and wakes as many of its waiters as there are new jobs, those first that have waited
longest; a waiter that finds work wakes the next, and so no news wakes everybody. Once a second it also sends one waiter
of each sort to look: for jobs that have become due, and for news that was lost.
"""

import json
import logging
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import psycopg
from django.conf import settings
from django.db import connection, transaction

logger = logging.getLogger(__name__)

CHANNEL = "jobsite_pending"
#: Seconds between the looks for jobs that have become due.
TICK = 1.0
#: How many waiters of different sorts are sent to look at each tick.
SCOUTS = 50
#: NOTIFY carries less than 8 000 bytes. With more kinds than fit, the news is that there are jobs of any.
MOST_NEWS = 7000
#: What a server with too many waiters asks for, in seconds.
RETRY_AFTER = 2
#: The name of every kind, in news.
ANY = ""


def announce(pending: Mapping[str, int]) -> None:
    """Say, once the transaction holds, that so many jobs of these kinds have become pending and are due."""
    news = {kind: n for kind, n in pending.items() if n > 0}
    if news:
        transaction.on_commit(lambda: _notify(news), robust=True)


def _notify(news: Mapping[str, int]) -> None:
    text = json.dumps(news, separators=(",", ":"))
    if len(text.encode()) > MOST_NEWS:
        text = json.dumps({ANY: sum(news.values())})
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, text])


class _Waiter:
    """One call that waits. `kinds` None: it takes any."""

    def __init__(self, kinds: tuple[str, ...] | None) -> None:
        self.kinds = kinds
        self.woken = threading.Event()

    def takes(self, kind: str) -> bool:
        return self.kinds is None or kind == ANY or kind in self.kinds


class Waiters:
    """Everybody who waits in this process."""

    def __init__(self) -> None:
        self._waiting: deque[_Waiter] = deque()
        self._lock = threading.Lock()
        self._listener: threading.Thread | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, kinds: tuple[str, ...] | None) -> _Waiter | None:
        """A place to wait in, or None: too many wait here already, or the server is shutting down."""
        waiter = _Waiter(kinds)
        with self._lock:
            if self._closed or len(self._waiting) >= settings.MAX_WAITERS:
                return None
            self._waiting.append(waiter)
            if self._listener is None or not self._listener.is_alive():
                self._listener = threading.Thread(target=self._listen, name="jobsite-listener", daemon=True)
                self._listener.start()
        return waiter

    def wait(self, waiter: _Waiter, seconds: float) -> bool:
        """Sleep until there is news for this one, who goes to the end of the line then. False: the time is over."""
        if not waiter.woken.wait(max(0.0, seconds)):
            return False
        with self._lock:
            waiter.woken.clear()
            self._waiting.remove(waiter)
            self._waiting.append(waiter)
        return True

    def leave(self, waiter: _Waiter, *, found: bool) -> None:
        """The call ends. One that found work wakes the next: where there was one job there may be more."""
        with self._lock:
            self._waiting.remove(waiter)
        if found or waiter.woken.is_set():
            # If it was woken and gives up, the news goes on to somebody else.
            self.wake(dict.fromkeys(waiter.kinds or (ANY,), 1))

    def wake(self, news: Mapping[str, int]) -> None:
        """Wake, for each kind, as many of those who take it as there are new jobs."""
        with self._lock:
            for kind, n in news.items():
                asleep = (w for w in self._waiting if not w.woken.is_set() and w.takes(kind))
                for waiter, _ in zip(asleep, range(n), strict=False):
                    waiter.woken.set()

    def send_scouts(self) -> None:
        """Wake the one who has waited longest, of each sort. Who finds nothing goes to the end."""
        with self._lock:
            scouts: dict[Any, _Waiter] = {}
            for waiter in self._waiting:
                if not waiter.woken.is_set():
                    scouts.setdefault(waiter.kinds, waiter)
            for waiter in list(scouts.values())[:SCOUTS]:
                waiter.woken.set()

    def close(self) -> None:
        """The server is shutting down: everybody is answered now, and nobody waits from here on."""
        with self._lock:
            self._closed = True
            for waiter in self._waiting:
                waiter.woken.set()

    def join(self) -> None:
        """Once closed: wait until nobody listens any more."""
        if self._listener is not None:
            self._listener.join()

    @property
    def closed(self) -> bool:
        return self._closed

    # --- The listener ---------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        while not self._closed:
            try:
                with psycopg.connect(**_address(), autocommit=True) as listening:
                    listening.execute(f"LISTEN {CHANNEL}")
                    # What was said before we listened.
                    self.send_scouts()
                    self._hear(listening)
            except (psycopg.Error, OSError) as error:
                logger.warning("cannot listen for new jobs, looking once a second instead: %s", error)
                time.sleep(TICK)
                self.send_scouts()

    def _hear(self, listening: "psycopg.Connection[Any]") -> None:
        looked = time.monotonic()
        while not self._closed:
            for note in listening.notifies(timeout=TICK / 4, stop_after=1):
                with suppress(ValueError, AttributeError):
                    self.wake({str(kind): int(n) for kind, n in json.loads(note.payload).items()})
            if time.monotonic() - looked >= TICK:
                looked = time.monotonic()
                self.send_scouts()


def _address() -> dict[str, Any]:
    """Where to listen: a connection of our own, which a pooler in transaction mode cannot give."""
    if settings.LISTEN_DATABASE_URL:
        return {"conninfo": settings.LISTEN_DATABASE_URL}
    params = connection.get_connection_params()
    return {k: v for k, v in params.items() if k not in ("context", "cursor_factory", "prepare_threshold")}


waiters = Waiters()


def answer_at_shutdown() -> None:
    """From here on SIGTERM and SIGINT answer everybody who waits. For the server's main thread, before it starts.

    The server's own handlers come later and stay: the signal's number also arrives at a socket, where a thread waits.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    if before != -1:
        # Somebody else listens there already (an event loop): it is theirs.
        signal.set_wakeup_fd(before)
        return
    threading.Thread(target=_close_at, args=(reader, writer), name="jobsite-shutdown", daemon=True).start()


def _close_at(reader: socket.socket, writer: socket.socket) -> None:
    while not {signal.SIGTERM, signal.SIGINT} & set(reader.recv(16)):
        pass
    waiters.close()
    # Kept until now, so that the descriptor is not another's meanwhile.
    del writer


Found = TypeVar("Found")


def until_found(
    look: Callable[[], tuple[Found, bool]], kinds: tuple[str, ...] | None, seconds: float
) -> tuple[Found | None, bool]:
    """Look, now and whenever there is news, until there is an answer or the time is over.

    `look` returns what it found and whether that is the answer. Returns the last thing found, and whether there was
    room to wait: without it the caller should come again after `RETRY_AFTER` seconds.
    """
    until = time.monotonic() + seconds
    waiter = waiters.enter(kinds)
    if waiter is None:
        return None, False
    found, done = None, False
    try:
        while not waiters.closed:
            # The first time for what came between the caller's own look and our place in the line.
            found, done = look()
            if done:
                break
            give_back_connection()
            if not waiters.wait(waiter, until - time.monotonic()):
                break
    finally:
        waiters.leave(waiter, found=done)
    return found, not waiters.closed


def give_back_connection() -> None:
    """Django's own connection of this thread goes back to the pool, if it has one: who waits or is done needs none."""
    if connection.connection is not None and not connection.in_atomic_block:
        connection.close()
