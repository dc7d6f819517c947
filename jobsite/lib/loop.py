"""Run a command's work in a loop: the pause, the signals, and messages about failures."""

import logging
import signal
import threading
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType

from django.core.management.base import BaseCommand
from django.db import InterfaceError, OperationalError, close_old_connections, connections

from jobsite.lib.plain_text import one_line

#: Raised when the database cannot be reached or the connection is lost.
DATABASE_AWAY = (OperationalError, InterfaceError)
POOL_LOG = logging.getLogger("psycopg.pool")


class Stopped(KeyboardInterrupt):
    """SIGTERM or SIGINT came. The current transaction is rolled back; those before it stay committed.

    A `KeyboardInterrupt`, because psycopg stops waiting for an answer only for that.
    """


def seconds(text: str) -> float:
    """Read a pause from the command line. ArgumentTypeError when it is none."""
    try:
        given = float(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if not 0 < given <= 86_400:
        raise ArgumentTypeError("the pause must be between 0 and 86 400 seconds")
    return given


def run_repeatedly(command: BaseCommand, once: Callable[[], None], pause: float, what: str) -> None:
    """Call `once` with pauses until SIGTERM or SIGINT, which end it at once with exit code 0, as a service stops.

    `what` begins the message when the database is away: `The sweep`.
    """
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        # A second signal must not interrupt the clean-up of the first.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        stopped.set()
        # It warns of a connection that is returned in the midst of a statement, and here that is meant.
        POOL_LOG.disabled = True
        raise Stopped

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        while True:
            try:
                once()
            except Exception as error:
                if stopped.is_set():
                    # The signal came during a commit, whose clean-up raised its own error in place of `Stopped`.
                    return
                if not isinstance(error, DATABASE_AWAY):
                    raise
                # If the loop ended here, no sweep would run when the database is back.
                command.stderr.write(f"{time_now()} {what} failed and will be tried again. {error_line(error)}")
            command.stderr.flush()
            command.stdout.flush()
            close_old_connections()
            threading.Event().wait(pause)
    except Stopped:
        _close_connections()
        return
    finally:
        POOL_LOG.disabled = False
        for number, handler in before.items():
            signal.signal(number, handler)


def _close_connections() -> None:
    """Return connections, perhaps in the midst of a statement, while the pool is not to warn of that."""
    for one in connections.all(initialized_only=True):
        if not one.in_atomic_block:
            one.close()


def time_now() -> str:
    """Format the time for a log that cron or a shell appends to, which has no times of its own."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"


def error_line(error: BaseException) -> str:
    """Format an error on one line."""
    return one_line(" ".join(str(error).split())) or type(error).__name__
