"""What runs in a storm: the web server, sweeps, the sender of alerts, bots, producers and people, each a program."""

import random
import secrets
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import psycopg

from bench.jobsite_server import free_port
from jobsite.serving.command_line import command_line
from tests.torture import rows
from tests.torture.journal import Lost
from tests.torture.processes import Program
from tests.torture.rows import Busy
from tests.torture.wire import Wire
from tests.torture.world import World

#: Web processes of the server.
WORKERS = 2
#: Seconds after which something is wrong.
PATIENCE = 60.0


class Stage:
    """One database, and the programs on it. Bots and people reach the server, and it the database, through wires."""

    def __init__(self, world: World, name: str, directory: Path, rng: random.Random, *, bots: int, most: int) -> None:
        self.world, self.name, self.directory, self.rng = world, name, directory, rng
        self.restores: list[Lost] = []
        #: Held by who kills a program and starts it again.
        self.changing = threading.Lock()
        self.port = free_port()
        self.to_database = Wire(world.socket, random.Random(rng.random()))
        self.to_server = Wire(self.reached, random.Random(rng.random()))
        wired = f"postgres://postgres@127.0.0.1:{self.to_database.port}/{name}?sslmode=disable&gssencmode=disable"
        self.environment = world.environment(wired) | {"PROMETHEUS_MULTIPROC_DIR": str(directory / "metrics")}
        (directory / "metrics").mkdir(parents=True)
        self.wanted = directory / "wanted"
        self.wanted.write_text("0")
        self.web = self._program("web", serve(self.port))
        self.sweeps = [self.sweep("sweep")]
        self.sender = self._program("sender", [sys.executable, "manage.py", "send_alerts", "--loop", "1"])
        self.bots = [self._bot(n, most) for n in range(bots)]
        key, port = world.key, str(self.to_server.port)
        self.others = [
            self._python(
                "producer", "producer", port, key, self._log("producer"), "producer", self._seed(), str(self.wanted)
            ),
            self._python("person", "person", port, key, self._log("person"), "person", self._seed()),
        ]

    def reached(self) -> socket.socket:
        """A connection to the server, for a wire."""
        return connected(self.port)

    def sweep(self, name: str) -> Program:
        """A sweep that runs each second."""
        return self._program(name, [sys.executable, "manage.py", "sweep_stuck", "--loop", "1"])

    def _bot(self, n: int, most: int) -> Program:
        # Two processes of one bot, each with an identity of its own.
        token = self.world.tokens[n // 2]
        log, name = self._log(f"bot-{n}"), f"bot-{n // 2}"
        return self._python(
            f"bot-{n}", "bot", str(self.to_server.port), token, log, name, f"pod-{n}", self._seed(), str(most)
        )

    def _python(self, name: str, module: str, *arguments: str) -> Program:
        return Program(name, [sys.executable, "-m", f"tests.torture.{module}", *arguments], {}, self._err(name))

    def _program(self, name: str, command: list[str]) -> Program:
        return Program(name, command, self.environment, self._err(name))

    def _log(self, name: str) -> str:
        return str(self.directory / name)

    def _err(self, name: str) -> Path:
        return self.directory / f"{name}.err"

    def _seed(self) -> str:
        return str(self.rng.randrange(2**32))

    @property
    def programs(self) -> list[Program]:
        """All of them."""
        return [self.web, *self.sweeps, self.sender, *self.bots, *self.others]

    def logs(self) -> list[Path]:
        """The logs of all callers."""
        return sorted(self.directory.glob("*.jsonl"))

    def start(self) -> None:
        """Start everything that does not run; the server first."""
        self.start_web()
        for program in self.programs:
            program.start()

    def start_web(self) -> None:
        """Start the web server and wait until it answers."""
        self.web.start()
        until = time.monotonic() + PATIENCE
        while True:
            self.web.must_run()
            with suppress(OSError, URLError), urlopen(f"http://127.0.0.1:{self.port}/livez", timeout=5):
                return
            if time.monotonic() > until:
                raise RuntimeError("the web server does not answer")
            time.sleep(0.05)

    def end_callers(self) -> None:
        """Let bots, producers and people finish, and wait until the server works on nothing that they asked for."""
        for program in [*self.others, *self.bots]:
            if program.process is not None:
                program.must_run()
                program.ask()
        for program in [*self.others, *self.bots]:
            program.end()
        self._wait_until("the database still works", self._is_idle)

    def _is_idle(self) -> bool:
        with self.connect() as connection:
            query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND state <> 'idle'"
            row = connection.execute(query, [self.name]).fetchone()
        return row == (1,)

    def _wait_until(self, otherwise: str, holds: Any) -> None:
        until = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > until:
                raise RuntimeError(otherwise)
            time.sleep(0.1)

    def swept(self) -> None:
        """Wait until a sweep has ended that began after this."""
        for _ in range(2):
            before = self._last_sweep()
            self._wait_until("no sweep ends", lambda last=before: self._last_sweep() != last)

    def _last_sweep(self) -> Any:
        with self.connect() as connection:
            return connection.execute("SELECT max(finished_at) FROM jobs_sweeprun").fetchone()

    def end(self) -> None:
        """End everything."""
        for program in self.programs:
            program.kill()
        self.to_server.close()
        self.to_database.close()

    def connect(self) -> "psycopg.Connection[Any]":
        """A connection to the database, past the wires."""
        return self.world.connect(self.name, options="-c lock_timeout=3s -c statement_timeout=60s")


@contextmanager
def watched(stage: Stage, pending: int) -> Iterator[list[Busy]]:
    """Keep so many jobs pending, and see whether bots are as busy as they are. Yields those that are not."""
    over, found = threading.Event(), list[Busy]()

    def watch() -> None:
        while not over.wait(0.1):
            # The database may be away, locked or full.
            with suppress(psycopg.Error, OSError), stage.connect() as connection:
                found.extend(rows.not_as_busy(connection))
                row = connection.execute("SELECT count(*) FROM jobs_job WHERE status = 'pending'").fetchone()
                stage.wanted.write_text(str(max(0, pending - (row[0] if row else 0))))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def serve(port: int) -> list[str]:
    """The command line of a web server."""
    words = command_line(port, workers=WORKERS)
    words[-1:-1] = ["--log-level", "error"]
    return words


def connected(port: int) -> socket.socket:
    """A connection to a port of this machine."""
    far = socket.create_connection(("127.0.0.1", port), 5)
    far.settimeout(None)
    return far


def new_directory(work: Path) -> Path:
    """A new folder for the logs of a stage."""
    directory = work / secrets.token_hex(4)
    directory.mkdir(parents=True)
    return directory
