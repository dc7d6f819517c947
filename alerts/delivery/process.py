"""Talk to the worker process that sends messages (`alerts.delivery.worker`): ask it, kill it when it takes too long."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any

from django.conf import settings

from alerts.delivery.timing import SEND_WITHIN
from alerts.states import Way


@dataclass(frozen=True)
class Answer:
    """How it went. `said` comes from the far side and may have secrets in it: see `addresses.mask`."""

    ok: bool
    said: str
    #: It failed, and may have arrived all the same: no answer came.
    unsure: bool = False
    #: For a check: the address without its secrets.
    shown: str = ""
    #: `said` is in our own words, and has no secret in it.
    ours: bool = False


class Apart:
    """A process of its own for one channel's messages, one after the other.

    A library that hangs can be killed with it, and what it may reach is fixed at its start
    (`alerts.delivery.sandbox`). It starts with an empty environment: no proxy, which would make the
    connection we check another's. Where addresses inside the network are allowed, there is nothing to hold back, and
    it has our own.
    """

    def __init__(self, way: str) -> None:
        self.allow_private = settings.ALERTS_ALLOW_PRIVATE
        self.way = way
        self.process: subprocess.Popen[str] | None = None
        self.ended = False
        self.lock = threading.Lock()

    def __enter__(self) -> "Apart":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def check(self, address: str) -> Answer:
        """Whether the address is one and may be reached. Sends nothing."""
        return self._ask({"do": "check", "way": self.way, "address": address})

    def notify(self, *, address: str, title: str, body: str, level: str, id: str) -> Answer:
        """Send by Apprise. `level` is one of its kinds: info, success, warning, failure."""
        return self._ask({"do": "notify", "address": address, "title": title, "body": body, "level": level, "id": id})

    def post(self, *, url: str, headers: dict[str, str], body: str) -> Answer:
        """POST this body, just as it is."""
        return self._ask({"do": "post", "url": url, "headers": headers, "body": body})

    def end(self) -> None:
        """No more questions. Safe to call from another thread, and twice; who waits for an answer gets none."""
        with self.lock:
            process, self.process, self.ended = self.process, None, True
        if process is not None:
            process.kill()
            process.wait()

    def _ask(self, question: dict[str, Any]) -> Answer:
        with self.lock:
            if self.ended:
                return Answer(False, "Stopped before it was sent.")
            process = self.process or self._start()
        late = threading.Event()
        timer = threading.Timer(SEND_WITHIN.total_seconds(), _kill(process, late))
        timer.daemon = True
        timer.start()
        try:
            to, back = _pipes(process)
            to.write(json.dumps(question) + "\n")
            to.flush()
            line = back.readline()
        except (OSError, ValueError):
            line = ""
        finally:
            timer.cancel()
        if line.endswith("\n"):
            return Answer(**json.loads(line))
        self.end()
        if late.is_set():
            return Answer(False, f"No answer within {SEND_WITHIN.total_seconds():.0f} seconds.", unsure=True)
        return Answer(False, "The process that sends ended before it said how it went.", unsure=True)

    def _start(self) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-B", "-m", "alerts.delivery.worker"],
            cwd=settings.BASE_DIR,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=None if self.allow_private else {},
            # Ctrl-C in a terminal is for who waits for this process, and knows what is to be recorded.
            start_new_session=True,
        )
        self.process = process
        first = {"allow_private": self.allow_private, "apprise": self.way != Way.WEBHOOK}
        _pipes(process)[0].write(json.dumps(first) + "\n")
        return process


def _pipes(process: "subprocess.Popen[str]") -> tuple[IO[str], IO[str]]:
    if process.stdin is None or process.stdout is None:
        raise ValueError("It was started without pipes.")
    return process.stdin, process.stdout


def _kill(process: "subprocess.Popen[str]", late: threading.Event) -> Callable[[], None]:
    def kill() -> None:
        late.set()
        process.kill()

    return kill
