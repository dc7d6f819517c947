"""A program of the storm that can be killed, stopped and started again, on the machine's clock or on a wrong one."""

import os
import signal
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from bench import programs

ROOT = Path(__file__).resolve().parents[2]
#: Debian's package faketime brings it. Only the calendar's clock is wrong; what waits uses the other one.
_LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))

#: One thread, which lasts: the kernel ends a program when the thread that started it ends.
_STARTER = ThreadPoolExecutor(1)


class EndedByItself(Exception):
    """A program ended that should go on."""


def started(command: Sequence[str], **options: Any) -> "subprocess.Popen[bytes]":
    """Start a program that outlives the thread that asks for it, and not the tests."""
    process: subprocess.Popen[bytes] = _STARTER.submit(programs.start, command, **options).result()
    return process


def can_be_wrong() -> bool:
    """Whether clocks can be wrong here."""
    return bool(_LIBRARIES)


def wrong_clock(seconds: int) -> dict[str, str]:
    """The environment of a program whose clock is wrong by so many seconds."""
    if not seconds:
        return {}
    only = {"DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1"}
    return {"LD_PRELOAD": str(_LIBRARIES[-1]), "FAKETIME": f"{seconds:+d}s", **only}


class Program:
    """Started, and started again after it was killed. One that ends by itself is a fault of ours or of the server's."""

    def __init__(self, name: str, command: Sequence[str], env: dict[str, str], log: Path) -> None:
        self.name, self.command, self._env, self._log = name, list(command), env, log
        #: Seconds by which its clock is wrong from the next start on.
        self.off = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, unless it runs."""
        if self.process is None:
            env = os.environ | self._env | wrong_clock(self.off)
            with self._log.open("ab") as log:
                self.process = started(self.command, env=env, cwd=ROOT, stdout=log, stderr=log)

    def signal(self, number: int) -> None:
        """Send a signal to it and what it started, if it runs."""
        process = self.process
        if process is None:
            return
        with suppress(psutil.Error):
            first = psutil.Process(process.pid)
            for one in [*first.children(recursive=True), first]:
                with suppress(psutil.Error):
                    one.send_signal(number)

    def kill(self) -> None:
        """End it and what it started, without a warning."""
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self._reap(10)

    def ask(self) -> None:
        """Ask it to end."""
        if self.process is not None and self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.process.terminate()

    def end(self, timeout: float = 40) -> bool:
        """Ask it to end and wait for that. False: it had to be killed."""
        if self.process is None:
            return True
        self.ask()
        try:
            self._reap(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        return True

    def _reap(self, timeout: float) -> None:
        assert self.process is not None
        self.process.wait(timeout)
        self.process = None

    def must_run(self) -> None:
        """Raise EndedByItself if it does not."""
        if self.process is not None and (code := self.process.poll()) is not None:
            tail = self._log.read_text(errors="replace")[-1500:]
            raise EndedByItself(f"{self.name} ended by itself with {code}:\n{tail}")

    def children(self) -> list[psutil.Process]:
        """What it started: of the web server the processes that answer."""
        with suppress(psutil.Error):
            found: list[psutil.Process] = psutil.Process(self.process.pid).children() if self.process else []
            return found
        return []
