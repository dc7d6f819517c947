"""Start the worker process that sends notifications (`alerts.delivery.worker`), and kill it when it takes too long."""

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
class SendResult:
    """The result of a check or a try. `detail` may come from the receiver and contain secrets: see `addresses.mask`."""

    ok: bool
    detail: str
    #: It failed without an answer, and may have arrived.
    unsure: bool = False
    #: For a check: the masked address.
    shown: str = ""
    #: `detail` is our own text, without secrets.
    is_ours: bool = False


class WorkerProcess:
    """A worker process that sends one channel's notifications in order.

    It isolates libraries that hang: the process can be killed. Its network access is fixed at start
    (`alerts.delivery.sandbox`). Its environment is empty: with a proxy from the environment, the sandbox would check
    the proxy's address instead of the receiver's. If internal addresses are allowed, it inherits the environment.
    """

    def __init__(self, way: str) -> None:
        self.allow_private = settings.ALERTS_ALLOW_PRIVATE
        self.way = way
        self.process: subprocess.Popen[str] | None = None
        self.ended = False
        self.lock = threading.Lock()

    def __enter__(self) -> "WorkerProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def check(self, address: str) -> SendResult:
        """Check that the address is valid and allowed. Sends nothing."""
        return self._ask({"do": "check", "way": self.way, "address": address})

    def notify(self, *, address: str, title: str, body: str, level: str, id: str) -> SendResult:
        """Send by Apprise. `level`: info, success, warning or failure."""
        return self._ask({"do": "notify", "address": address, "title": title, "body": body, "level": level, "id": id})

    def post(self, *, url: str, headers: dict[str, str], body: str) -> SendResult:
        """POST this body unchanged."""
        return self._ask({"do": "post", "url": url, "headers": headers, "body": body})

    def end(self) -> None:
        """Kill the process. Safe to call repeatedly and from another thread; a pending request then fails."""
        with self.lock:
            process, self.process, self.ended = self.process, None, True
        if process is not None:
            process.kill()
            process.wait()

    def _ask(self, request: dict[str, Any]) -> SendResult:
        with self.lock:
            if self.ended:
                return SendResult(False, "Stopped before it was sent.")
            process = self.process or self._start()
        late = threading.Event()
        timer = threading.Timer(SEND_WITHIN.total_seconds(), _kill(process, late))
        timer.daemon = True
        timer.start()
        try:
            stdin, stdout = _pipes(process)
            stdin.write(json.dumps(request) + "\n")
            stdin.flush()
            line = stdout.readline()
        except (OSError, ValueError):
            line = ""
        finally:
            timer.cancel()
        if line.endswith("\n"):
            return SendResult(**json.loads(line))
        self.end()
        if late.is_set():
            return SendResult(False, f"No answer within {SEND_WITHIN.total_seconds():.0f} seconds.", unsure=True)
        return SendResult(False, "The worker process ended without a result.", unsure=True)

    def _start(self) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-B", "-m", "alerts.delivery.worker"],
            cwd=settings.BASE_DIR,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=None if self.allow_private else {},
            # Keep Ctrl-C from this process: the parent handles it, and records the try first.
            start_new_session=True,
        )
        self.process = process
        first = {"allow_private": self.allow_private, "apprise": self.way != Way.WEBHOOK}
        _pipes(process)[0].write(json.dumps(first) + "\n")
        return process


def _pipes(process: "subprocess.Popen[str]") -> tuple[IO[str], IO[str]]:
    if process.stdin is None or process.stdout is None:
        raise ValueError("The worker process has no pipes.")
    return process.stdin, process.stdout


def _kill(process: "subprocess.Popen[str]", late: threading.Event) -> Callable[[], None]:
    def kill() -> None:
        late.set()
        process.kill()

    return kill
