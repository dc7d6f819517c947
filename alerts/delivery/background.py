"""Sending beside other work, for a loop that must come round in time: a far side that hangs holds up nothing."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType

from django.db import connection

from alerts.delivery import timing
from alerts.delivery.dispatch import Sent, send_due
from jobsite.lib.loop import DATABASE_AWAY


class Beside:
    """Passes in threads of their own. They share the channels as senders in other processes do
    (docs/decisions/0014-alerts.md).

    `done` is called with what each pass did, and `failed` with what the database said when it went away; both from the
    pass's thread. Leaving the context stops what goes on, as an interrupt stops a sender.
    """

    def __init__(self, done: Callable[[Sent], None], failed: Callable[[BaseException], None]) -> None:
        self.done, self.failed = done, failed
        self.halt: Future[None] = Future()
        self.threads: list[threading.Thread] = []

    def __enter__(self) -> "Beside":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.halt.set_result(None)
        for thread in self.threads:
            # A signal may have come before it began.
            if thread.ident is not None:
                thread.join()

    def go(self) -> None:
        """Begin a pass and do not wait for it. One that still waits for somebody's answer is no reason not to."""
        self.threads = [thread for thread in self.threads if thread.is_alive()]
        if len(self.threads) < timing.BESIDE:
            thread = threading.Thread(target=self._send, name="sending", daemon=True)
            self.threads.append(thread)
            thread.start()

    def _send(self) -> None:
        try:
            self.done(send_due(halt=self.halt))
        except DATABASE_AWAY as error:
            self.failed(error)
        finally:
            # It is this thread's own.
            connection.close()
