"""The one PostgreSQL that every contender of a run uses, with a database for each."""

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

#: The same for all. Durability is PostgreSQL's default and said here so that nobody need wonder; the memory is such
#: that tables of a bench fit, and the log such that no checkpoint falls into a measurement by its size alone.
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
#: What the results say about the server.
TOLD = [
    "server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size",
    "checkpoint_timeout", "autovacuum", "autovacuum_naptime", "work_mem", "jit",
]  # fmt: skip


class Server:
    """A PostgreSQL server. `started` when it is ours, so that its processes are here to be looked at."""

    def __init__(self, url: str, started: bool) -> None:
        self.base, self.started = url, started

    def url(self, name: str) -> str:
        """The URL of one database of it, for any driver."""
        return urlunsplit(urlsplit(self.base)._replace(path=f"/{name}"))

    def connect(self, name: str, **options: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection that commits each statement."""
        return psycopg.connect(self.url(name), autocommit=True, **options)

    def run(self, name: str, *statements: str) -> None:
        """Run statements one after the other."""
        with self.connect(name) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def ask(self, name: str, question: str, params: Sequence[Any] = ()) -> Any:
        """The first value of the first row."""
        with self.connect(name) as connection:
            row = connection.execute(question.encode(), params).fetchone()
        return row[0] if row else None

    @contextmanager
    def database(self, name: str, template: str = "template0") -> Iterator[str]:
        """A new database, gone when it is left; its name. What uses it then is cut off."""
        self.drop(name)
        self.run("postgres", f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        try:
            yield name
        finally:
            self.drop(name)

    def drop(self, name: str) -> None:
        """Drop a database, if it is there."""
        self.run("postgres", f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def settle(self, name: str) -> None:
        """Before each measurement, for everybody: statistics up to date, and nothing left to write out."""
        self.run(name, "VACUUM ANALYZE", "CHECKPOINT")

    def settings(self) -> dict[str, str]:
        """The settings that matter, as they are in force."""
        with self.connect("postgres") as connection:
            rows = connection.execute(
                "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY (%s)", [TOLD]
            )
            return dict(rows.fetchall())

    def cpu(self) -> float | None:
        """Seconds of CPU that all its processes have used, those that have ended included. None: not ours."""
        if not self.started:
            return None
        pid = int((DATA / "data/postmaster.pid").read_text().splitlines()[0])
        master = psutil.Process(pid)
        times = master.cpu_times()
        total = times.user + times.system + times.children_user + times.children_system
        for child in master.children():
            try:
                times = child.cpu_times()
            except psutil.Error:
                continue
            total += times.user + times.system
        return total


def start(binaries: str = "") -> Server:
    """The server at DATABASE_URL, or one of our own; `binaries` `system` means Debian's. Ours stops when we end."""
    if given := os.environ.get("DATABASE_URL"):
        print("The server of DATABASE_URL is measured as it is.", file=sys.stderr)
        return Server(given, started=False)
    chosen: Path | None = None
    if binaries:
        chosen = postgres.system_binaries() if binaries == "system" else Path(binaries)
    return Server(postgres.start(DATA, chosen, OPTIONS), started=True)
