"""Run the production server on the test database, in a process of its own."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.cast import database_url

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Served:
    """Where it listens, and its first process."""

    port: int
    pid: int

    def memory(self) -> int:
        """Bytes that its largest process has in memory."""
        first = psutil.Process(self.pid)
        return max(process.memory_info().rss for process in [first, *first.children(recursive=True)])


@contextlib.contextmanager
def served(threads: int = 4, **env: str) -> Iterator[Served]:
    """Granian with one process of so many threads."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "tests.settings", "LOG_LEVEL": "ERROR"}
    command = [str(Path(sys.executable).parent / "granian"), "--interface", "wsgi", "--host", "127.0.0.1"]
    command += [
        "--port",
        str(port),
        "--workers",
        "1",
        "--blocking-threads",
        str(threads),
        "--no-ws",
        "--log-level",
        "error",
    ]
    process = subprocess.Popen([*command, "jobsite.wsgi:application"], cwd=ROOT, env=os.environ | settings | env)
    try:
        until = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < until, "the server did not start"
        yield Served(port, process.pid)
    finally:
        process.terminate()
        process.wait(30)
