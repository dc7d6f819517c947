"""Send in background threads, so that a receiver that hangs cannot delay a loop of sweeps."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType

from django.db import connection

from alerts.delivery import timing
from alerts.delivery.dispatch import SendCounts, send_due
from jobsite.lib.loop import DATABASE_AWAY


class BackgroundSender:
    """Runs of the sender in threads. They share the channels like senders in other processes
    (docs/decisions/0014-alerts.md).

    Calls `done` with each run's counts, and `failed` with the error if the database is lost, both from the run's
    thread. Leaving the context stops the runs as an interrupt would.
    """

    def __init__(self, done: Callable[[SendCounts], None], failed: Callable[[BaseException], None]) -> None:
        self.done, self.failed = done, failed
        self.halt: Future[None] = Future()
        self.threads: list[threading.Thread] = []

    def __enter__(self) -> "BackgroundSender":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.halt.set_result(None)
        for thread in self.threads:
            # A signal may have arrived before the thread started.
            if thread.ident is not None:
                thread.join()

    def start_run(self) -> None:
        """Start a run without waiting for it, unless too many are still running."""
        self.threads = [thread for thread in self.threads if thread.is_alive()]
        if len(self.threads) < timing.MAX_BACKGROUND_RUNS:
            thread = threading.Thread(target=self._send, name="sending", daemon=True)
            self.threads.append(thread)
            thread.start()

    def _send(self) -> None:
        try:
            self.done(send_due(halt=self.halt))
        except DATABASE_AWAY as error:
            self.failed(error)
        finally:
            # Each thread has a connection of its own.
            connection.close()
