"""What commands share that do their work again and again: the pause, the signals, and what is said of trouble."""

import signal
import threading
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType

from django.core.management.base import BaseCommand
from django.db import InterfaceError, OperationalError, close_old_connections

#: What a database that is away, or goes away, raises.
DATABASE_AWAY = (OperationalError, InterfaceError)


class Stopped(KeyboardInterrupt):
    """SIGTERM or SIGINT came. What is in hand is rolled back, and is due again; what was before it is done.

    A `KeyboardInterrupt`, because psycopg gives up waiting for an answer for that, and for no other exception.
    """


def seconds(text: str) -> float:
    """A pause given on the command line; ArgumentTypeError when it is none."""
    try:
        given = float(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if not 0 < given <= 86_400:
        raise ArgumentTypeError("the pause must be between 0 and 86 400 seconds")
    return given


def again_and_again(command: BaseCommand, once: Callable[[], None], pause: float, what: str) -> None:
    """Until SIGTERM or SIGINT, which end it at once with exit code 0: that is how a service is stopped.

    `what` is what failed when the database is away, as the beginning of a sentence: `The sweep`.
    """
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        # Once is enough: a second signal must not meet the first one's cleaning up.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        stopped.set()
        raise Stopped

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        while True:
            try:
                once()
            except Exception as error:
                if stopped.is_set():
                    # In the midst of a commit: what cleans up after it has its own complaint, in place of `Stopped`.
                    return
                if not isinstance(error, DATABASE_AWAY):
                    raise
                # A loop that ended here would leave nobody watching.
                command.stderr.write(f"{time_now()} {what} failed and will be tried again. {one_line(error)}")
            command.stderr.flush()
            command.stdout.flush()
            close_old_connections()
            threading.Event().wait(pause)
    except Stopped:
        return
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def time_now() -> str:
    """For a log that cron or a shell appends to, and that has no times of its own."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"


def one_line(error: BaseException) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
