"""Run code on several real connections, in an order set by locks and not by sleeping."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import connection, connections, transaction

T = TypeVar("T")

#: Seconds after which a test fails that waits for something.
PATIENCE = 60.0

# A commit with NOTIFY waits a moment for the commits of all other databases, for a lock of type `object`.
_BLOCKED = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
        AND wait_event_type = 'Lock' AND wait_event <> 'object'
"""


class Racers:
    """Run functions in threads, each with a connection of its own."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.pool = pool

    def go(self, what: Callable[[], T]) -> "Future[T]":
        """Run `what` in a thread, and close its connection afterwards."""

        def run() -> T:
            try:
                return what()
            finally:
                connections.close_all()

        return self.pool.submit(run)

    def go_and_block(self, what: Callable[[], T]) -> "Future[T]":
        """Run `what`, which must wait for a lock; returns when it does."""
        before = blocked()
        future = self.go(what)

        def waits() -> bool:
            if blocked() > before:
                return True
            assert not future.done(), f"it did not wait for a lock, but ended: {future.exception() or future.result()}"
            return False

        until(waits)
        return future


@contextmanager
def racers(most: int = 12) -> Iterator[Racers]:
    """A pool of threads, all of which have ended on exit."""
    with ThreadPoolExecutor(max_workers=most) as pool:
        yield Racers(pool)


def until(what: Callable[[], bool]) -> None:
    """Ask again and again until it is true; fails when it is not so in good time."""
    end = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not what():
        assert time.monotonic() < end, "it never came to be"
        pause.wait(0.005)


def blocked() -> int:
    """How many other connections to this database wait for a lock now."""
    with connection.cursor() as cursor:
        # Within a transaction the list of connections is read once, and would lack those that have come since.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(_BLOCKED)
        return int(cursor.fetchone()[0])


def in_order(row: Any, first: Callable[[], Any], second: Callable[[], Any]) -> tuple[Any, Any]:
    """Run both, so that `first` gets the lock on `row` before `second`: both wait until this function releases it."""
    with racers() as run:
        with transaction.atomic():
            type(row).objects.select_for_update().get(pk=row.pk)
            one = run.go_and_block(first)
            two = run.go_and_block(second)
        return one.result(PATIENCE), two.result(PATIENCE)
