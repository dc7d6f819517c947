"""Run the production server on the test database, in a process of its own."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from jobsite.serving.command_line import command_line
from tests import ports
from tests.cast import database_url

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Served:
    """Where it listens, and its first process."""

    port: int
    pid: int

    @property
    def worker(self) -> psutil.Process:
        """The process that answers."""
        return max(psutil.Process(self.pid).children(recursive=True), key=lambda child: child.memory_info().rss)

    def memory(self) -> int:
        """Bytes that its largest process has in memory."""
        return int(self.worker.memory_info().rss)


@contextlib.contextmanager
def served(threads: int = 4, **env: str) -> Iterator[Served]:
    """What `make serve` starts, with so many threads."""
    own = {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "tests.settings", "LOG_LEVEL": "ERROR"}
    environ = os.environ | {"WEB_THREADS": str(threads)} | own | env
    with ports.reserved() as port:
        command = command_line(port)
        command[-1:-1] = ["--log-level", "error"]
        process = subprocess.Popen(command, cwd=ROOT, env=environ)
        try:
            _wait_until_it_listens(process, port)
            yield Served(port, process.pid)
        finally:
            process.terminate()
            process.wait(40)


def _wait_until_it_listens(process: "subprocess.Popen[bytes]", port: int) -> None:
    until = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.poll() is None, "the server ended"
        assert time.monotonic() < until, "the server did not start"
        time.sleep(0.02)
