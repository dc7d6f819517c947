"""Run the PostgreSQL server that all contenders of a run share, with a database for each."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg

from bench.places import DATA
from jobsite.dev import postgres

#: The same for all. Durability is PostgreSQL's default, repeated to make it visible. The memory holds the tables of the
#: bench, and the log is large enough that its size causes no checkpoint in a measurement.
OPTIONS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "15min",
    "max_connections": "300",
    "log_autovacuum_min_duration": "0",
}
#: The settings that the results have.
REPORTED = [
    "server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size",
    "checkpoint_timeout", "autovacuum", "autovacuum_naptime", "work_mem", "jit",
]  # fmt: skip


class Server:
    """A PostgreSQL server. `started` when the bench started it, so that it can read its processes' CPU times."""

    def __init__(self, url: str, started: bool) -> None:
        self.base, self.started = url, started

    def url(self, name: str) -> str:
        """Return the URL of one of its databases, for any driver."""
        return urlunsplit(urlsplit(self.base)._replace(path=f"/{name}"))

    def connect(self, name: str, **options: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """Connect; each statement is committed."""
        return psycopg.connect(self.url(name), autocommit=True, **options)

    def run(self, name: str, *statements: str) -> None:
        """Run statements one after the other."""
        with self.connect(name) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def ask(self, name: str, query: str, params: Sequence[Any] = ()) -> Any:
        """Return the first value of the first row."""
        with self.connect(name) as connection:
            row = connection.execute(query.encode(), params).fetchone()
        return row[0] if row else None

    @contextmanager
    def database(self, name: str, template: str = "template0") -> Iterator[str]:
        """Create a database, yield its name, and drop it in the end, with all its connections."""
        self.drop(name)
        self.run("postgres", f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        try:
            yield name
        finally:
            self.drop(name)

    def drop(self, name: str) -> None:
        """Drop a database, if it exists."""
        self.run("postgres", f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def wal(self) -> int:
        """Return how many bytes of WAL the server has written."""
        return int(self.ask("postgres", "SELECT pg_current_wal_lsn() - '0/0'"))

    def settle(self, name: str) -> None:
        """Update statistics and write everything out, before each measurement of every contender."""
        self.run(name, "VACUUM ANALYZE", "CHECKPOINT")

    def settings(self) -> dict[str, str]:
        """Return the settings in force that matter."""
        with self.connect("postgres") as connection:
            rows = connection.execute(
                "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY (%s)", [REPORTED]
            )
            return dict(rows.fetchall())

    def cpu(self) -> float | None:
        """Return the seconds of CPU that all its processes have used, ended ones included. None: not `started`."""
        if not self.started:
            return None
        master = self._master()
        times = master.cpu_times()
        total = times.user + times.system + times.children_user + times.children_system
        for child in master.children():
            try:
                times = child.cpu_times()
            except psutil.Error:
                continue
            total += times.user + times.system
        return float(total)

    def memory(self) -> int | None:
        """Return the memory of all its processes in bytes (PSS). None: not `started`, or not ours to read."""
        if not self.started:
            return None
        total = 0
        for process in (self._master(), *self._master().children()):
            try:
                total += process.memory_full_info().pss
            except psutil.NoSuchProcess:
                continue
            except psutil.AccessDenied:
                return None
        return total

    def _master(self) -> psutil.Process:
        return psutil.Process(int((DATA / "data/postmaster.pid").read_text().splitlines()[0]))


def start(binaries: str = "") -> Server:
    """Use the server at DATABASE_URL, or start one with these binaries (`system`: Debian's), until the bench ends."""
    if given := os.environ.get("DATABASE_URL"):
        print("The server of DATABASE_URL is measured as it is.", file=sys.stderr)
        return Server(given, started=False)
    chosen: Path | None = None
    if binaries:
        chosen = postgres.system_binaries() if binaries == "system" else Path(binaries)
    return Server(postgres.start(DATA, chosen, OPTIONS), started=True)
