"""Answer the calls that wait for jobs when the server gets the signal to end."""

import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from jobs.turns import waiting


def answer_at_shutdown(also: Callable[[], None] | None = None) -> None:
    """Answer all waiting calls at SIGTERM and SIGINT, and call `also`. Call this in the server's main thread.

    The server's own handlers stay: Python also writes the signal's number to a socket, from which a thread reads it,
    and passes it on to the socket of an event loop that was there before.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    args = (reader, writer, before, also)
    threading.Thread(target=_close_at, args=args, name="jobsite-shutdown", daemon=True).start()


def _close_at(reader: socket.socket, writer: socket.socket, before: int, also: Callable[[], None] | None) -> None:
    # `writer` is kept open, so that its descriptor is not reused.
    while numbers := reader.recv(16):
        if before != -1:
            with suppress(OSError):
                os.write(before, numbers)
        if {signal.SIGTERM, signal.SIGINT} & set(numbers):
            waiting.waiters.close()
            if also is not None:
                also()
