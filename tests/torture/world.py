"""The PostgreSQL of a storm, in a data directory of its own, and a template of the database."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg

from jobsite.dev import embedded_server, postgres
from tests.torture.processes import ROOT

#: Where everything of a storm is. `make clean` removes it.
WORK = ROOT / ".run" / "torture"
TEMPLATE = "storm_template"
#: A killed server loses nothing that it had given to the kernel, and the kernel goes on.
OPTIONS = {"fsync": "off", "full_page_writes": "off", "max_connections": "300", "max_wal_size": "512MB"}
#: Seconds after which PostgreSQL starts no more.
PATIENCE = 60.0
#: The size of the disk that may become full. It is memory.
DISK = "3g"


@dataclass
class World:
    """A server of PostgreSQL and where its files are. `small`: its disk can be filled."""

    directory: Path
    small: bool
    settings: str
    url: str = ""
    tokens: tuple[str, ...] = ()
    key: str = ""

    def start(self) -> None:
        """Start PostgreSQL, or wait until one that has crashed has recovered."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                self.url = postgres.start(self.directory, options=OPTIONS)
                return
            except postgres.CannotStart:
                if time.monotonic() > until:
                    raise
                time.sleep(0.5)

    def stop(self, mode: str) -> None:
        """Stop it; `immediate` as a crash would."""
        embedded_server.stop(self.directory, mode)

    def connect(self, name: str, **options: Any) -> "psycopg.Connection[Any]":
        """Connect to a database of it, past all wires; each statement is committed."""
        where = self._where() | {"dbname": name, "autocommit": True, "connect_timeout": 5}
        return psycopg.connect(**(where | options))

    def socket(self) -> socket.socket:
        """A connection to it for a wire."""
        far = socket.socket(socket.AF_UNIX)
        far.settimeout(5)
        far.connect(f"{self._where()['host']}/.s.PGSQL.5432")
        far.settimeout(None)
        return far

    def run(self, *statements: str) -> None:
        """Run statements in its first database."""
        with self.connect("postgres") as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def direct(self, name: str) -> str:
        """The URL of a database of it."""
        return self.url.replace(f"/{embedded_server.DATABASE}?", f"/{name}?")

    def environment(self, url: str) -> dict[str, str]:
        """The environment of production for a program, with limits that suit a storm of some seconds."""
        return {
            "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": self.settings, "SECRET_KEY": "x" * 50, "DEBUG": "0",
            "HTTPS": "0", "LOG_LEVEL": "WARNING", "ALERTS_ALLOW_PRIVATE": "1", "QUARANTINE_EXPIRIES": "40",
            "BOT_DOWN_AFTER_SECONDS": "5", "LAST_SEEN_EVERY_SECONDS": "1", "INCIDENT_CLEAR_SECONDS": "2",
            "INCIDENT_REOPEN_SECONDS": "5", "WEB_THREADS": "32", "DATABASE_POOL_MAX": "16", "METRICS_OPEN": "1",
            "RATE_PER_ADDRESS": "100",
        }  # fmt: skip

    def tool(self, program: str, *arguments: str) -> None:
        """Run a program of PostgreSQL's, as `pg_dump`, against it."""
        binaries = embedded_server.wheel_binaries()
        env = os.environ | {"PGHOST": self._where()["host"], "PGUSER": embedded_server.ROLE}
        subprocess.run([binaries / program, *arguments], env=env, check=True, capture_output=True)

    def prepare(self, receiver: str) -> None:
        """Make the template, and the static files: migrated, with bots, a person, kinds and a channel to `receiver`."""
        self.run(f"CREATE DATABASE {TEMPLATE}")
        env = os.environ | self.environment(self.direct(TEMPLATE))
        static = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"]
        subprocess.run(static, env=env, cwd=ROOT, check=True)
        command = [sys.executable, "-m", "tests.torture.prepare", receiver]
        done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the database could not be prepared:\n{done.stderr[-3000:]}")
        self._begin(json.loads(done.stdout.splitlines()[-1]))

    def load(self, dump: Path, fleet: dict[str, Any]) -> None:
        """Make the template from a dump of a database that has all that."""
        self.run(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0")
        self.tool("pg_restore", "--exit-on-error", "--no-owner", "--dbname", TEMPLATE, str(dump))
        self._begin(fleet)

    def _begin(self, fleet: dict[str, Any]) -> None:
        self.tokens, self.key = tuple(fleet["tokens"]), fleet["key"]
        with self.connect(TEMPLATE) as connection:
            # A copy of it is where a story begins, and no restore.
            connection.execute("UPDATE jobsite_site SET epoch = 0, cluster = NULL, timeline = NULL, database = ''")
            connection.execute("ANALYZE")

    @contextmanager
    def database(self) -> Iterator[str]:
        """A copy of the template, dropped in the end."""
        name = f"storm_{secrets.token_hex(4)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        try:
            yield name
        finally:
            self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _where(self) -> dict[str, Any]:
        return {"host": parse_qs(urlsplit(self.url).query)["host"][0], "user": embedded_server.ROLE}


@contextmanager
def world(*, settings: str, disk: bool) -> Iterator[World]:
    """A server of PostgreSQL for the time of a storm. `disk`: on a small disk, where this machine allows one."""
    WORK.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="world-", dir=WORK))
    small = disk and _mounted(directory)
    made = World(directory, small, settings)
    try:
        made.start()
        yield made
    finally:
        with suppress(Exception):
            made.stop("immediate")
        if small:
            subprocess.run(["umount", "-l", directory], check=False)
        shutil.rmtree(directory, ignore_errors=True)


def _mounted(directory: Path) -> bool:
    """Mount a small disk there. False: this user may not."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(directory)]
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        return False
