"""Restores, as the site sees them: another timeline, or a database that was read from a dump."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from django.db import connection
from django.db.models import F

from jobsite.dev.embedded_server import system_binaries, wheel_binaries
from jobsite.lib import site
from jobsite.lib.site import Epoch
from jobsite.models import Site
from tests.jobsite.empty_database import copied, switch_to


def restored() -> Epoch:
    """A restore that the next comparison notices."""
    site.compare_now()
    Site.objects.update(timeline=F("timeline") + 1)
    begun = site.compare_now()
    assert begun is not None
    return begun


@pytest.fixture
def short_gap(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The site knows its database. After a restore ids go on a little, so that those of later tests stay short."""
    site.compare_now()
    monkeypatch.setattr(site, "GAP_MIN", 1000)
    monkeypatch.setattr(site, "GAP_MAX", 1001)


@contextmanager
def own_database() -> Iterator[str]:
    """Django's default connection leads to a copy of the tests' database, which may be restored; then it is dropped."""
    name = f"{connection.settings_dict['NAME']}_restored"
    with copied(connection.settings_dict["NAME"], name):
        site.compare_now()
        yield name


@contextmanager
def dumped() -> Iterator[Path]:
    """A dump of the present database, by pg_dump."""
    with TemporaryDirectory() as directory:
        dump = Path(directory) / "dump"
        _run("pg_dump", "--format=custom", "--file", str(dump), connection.settings_dict["NAME"])
        yield dump


def read_in(dump: Path, *options: str) -> None:
    """Read it into the present database, by pg_restore."""
    name = connection.settings_dict["NAME"]
    # The dump replaces what these connections lead to.
    switch_to(name)
    _run("pg_restore", "--exit-on-error", "--dbname", name, *options, str(dump))


def recreate() -> None:
    """Drop the present database and create an empty one of the same name."""
    name = connection.settings_dict["NAME"]
    switch_to("postgres")
    _execute(f'DROP DATABASE "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}" TEMPLATE template0')
    switch_to(name)


def _execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def binaries() -> Path:
    """The programs of PostgreSQL that fit the tests' server."""
    there = wheel_binaries()
    return there if f"pginstall{connection.pg_version // 10_000}" in str(there) else system_binaries()


def _run(program: str, *arguments: str) -> None:
    params = connection.get_connection_params()
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
    env = os.environ | {variable: str(params[name]) for name, variable in names.items() if params.get(name)}
    done = subprocess.run([binaries() / program, *arguments], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
