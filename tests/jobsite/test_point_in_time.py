"""pgBackRest brings a database back to a moment, as the docs say, and `after_restore` begins an epoch there."""

import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from jobs.attempts import EPOCH
from jobsite.dev.embedded_server import CannotStart, system_binaries
from tests.docs.reading import ROOT, text_of

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("pgbackrest") is None, reason="pgbackrest is not installed"),
]

#: As the docs have it, with the paths of the test.
(SETTINGS,) = re.findall(r"```ini\n(\[jobsite\].*?)```", text_of("docs/operations.md"), flags=re.S)
HELD = """
from bots import roster
from jobs import lifecycle
bot, _ = roster.register(name="ada")
(lease,) = lifecycle.claim(bot)
print(lease.id)
"""


def owner() -> dict[str, Any]:
    """As whom PostgreSQL runs: it refuses root."""
    if os.geteuid():
        return {}
    entry = pwd.getpwnam("postgres")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@dataclass
class Server:
    """A PostgreSQL of its own that archives its log, and the settings of pgBackRest for it."""

    directory: Path
    binaries: Path

    @property
    def data(self) -> Path:
        return self.directory / "data"

    def run(self, *command: str) -> str:
        """Run a program as the server's user."""
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                command, cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False, **owner()
            )
            output.seek(0)
            printed = output.read()
        assert done.returncode == 0, f"{' '.join(command)}\n{printed}"
        return printed

    def create(self) -> None:
        self.run(str(self.binaries / "initdb"), "--no-sync", "--auth=trust", "-U", "postgres", "-D", str(self.data))
        paths = {
            "pg1-path": "data",
            "pg1-socket-path": "",
            "repo1-path": "repo",
            "lock-path": "lock",
            "log-path": "log",
        }
        settings = SETTINGS
        for name, folder in paths.items():
            settings = re.sub(rf"^{name}=.*\n", "", settings, flags=re.M)
            settings = settings.rstrip() + f"\n{name}={self.directory / folder}\n"
        stanza, mine = settings.split("\n", 1)
        (self.directory / "pgbackrest.conf").write_text(f"{stanza}\n{mine}pg1-user=postgres\n")
        archive = f"pgbackrest --config={self.directory}/pgbackrest.conf --stanza=jobsite archive-push %p"
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(f"listen_addresses = ''\nunix_socket_directories = '{self.directory}'\n")
            file.write(f"archive_mode = on\narchive_command = '{archive}'\n")

    def backrest(self, *command: str) -> str:
        return self.run("pgbackrest", f"--config={self.directory}/pgbackrest.conf", "--stanza=jobsite", *command)

    def control(self, what: str) -> None:
        self.run(
            str(self.binaries / "pg_ctl"), what, "-w", "-D", str(self.data), "-l", str(self.directory / "server.log")
        )

    def ask(self, sql: str) -> Any:
        with psycopg.connect(host=str(self.directory), user="postgres", dbname="postgres", autocommit=True) as there:
            return there.execute(sql.encode()).fetchone()

    def manage(self, *arguments: str, given: str = "") -> str:
        """Run a management command on this server, with this on standard input."""
        url = f"postgres:///postgres?host={self.directory}&user=postgres"
        own = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings", "LOG_LEVEL": "ERROR"}
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=os.environ | own, input=given, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def enqueue(self, key: str) -> None:
        self.manage("enqueue", "-", given=f'{{"kind": "sum", "key": "{key}"}}\n')


@pytest.fixture
def server() -> Iterator[Server]:
    try:
        binaries = system_binaries()
    except CannotStart as error:
        pytest.skip(str(error))
    directory = Path(tempfile.mkdtemp(prefix="jobsite-backup-"))
    made = Server(directory, binaries)
    try:
        if user := owner():
            os.chown(directory, user["user"], user["group"])
        made.create()
        made.control("start")
        yield made
        made.control("stop")
    finally:
        shutil.rmtree(directory)


def wait_until_it_writes(server: Server) -> None:
    end = time.monotonic() + 60
    while server.ask("SELECT pg_is_in_recovery()") != (False,):
        assert time.monotonic() < end, (server.directory / "server.log").read_text()[-2000:]
        time.sleep(0.1)


def test_a_database_comes_back_as_it_was_at_a_moment(server: Server) -> None:
    server.manage("migrate", "--verbosity", "0")
    server.enqueue("before the backup")
    held = int(server.manage("shell", "--verbosity", "0", "--command", HELD))
    server.backrest("stanza-create")
    server.backrest("backup")
    server.enqueue("after the backup")
    (moment,) = server.ask("SELECT clock_timestamp()::text")
    server.enqueue("after the moment")
    server.ask("SELECT pg_switch_wal()")
    server.control("stop")
    server.backrest("restore", "--delta", "--type=time", f"--target={moment}", "--target-action=promote")
    server.control("start")
    wait_until_it_writes(server)
    keys = server.ask("SELECT array_agg(key ORDER BY id) FROM jobs_job")
    assert keys == (["before the backup", "after the backup"],)
    printed = server.manage("after_restore")
    assert "Jobs that bots held, released: 1." in printed
    (status, attempt) = server.ask(f"SELECT status, attempt FROM jobs_job WHERE id = {held}")
    assert (status, attempt % EPOCH) == ("pending", 1)
    server.enqueue("in the new epoch")
    (newest,) = server.ask("SELECT max(id) FROM jobs_job")
    # What was given after the moment is not given again.
    assert newest > 10**9
