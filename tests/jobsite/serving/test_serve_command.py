"""`manage.py serve` prepares the directory and lets granian take its place, or says why it cannot."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from jobsite.probes import unapplied
from tests import raw
from tests.cast import database_url
from tests.docs.reading import ROOT

pytestmark = pytest.mark.django_db(transaction=True)


class Started(Exception):
    """In place of the process that granian takes."""


@pytest.fixture
def started(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What granian was started with, and its environment. Static files and metrics are in a directory of the test."""
    settings.STATIC_ROOT, settings.METRICS_DIR = tmp_path / "static", str(tmp_path / "metrics")
    seen: list[Any] = []

    def execve(path: str, command: list[str], environ: dict[str, str]) -> None:
        seen.extend((command, environ))
        raise Started

    monkeypatch.setattr(os, "execve", execve)
    monkeypatch.chdir(ROOT)
    return seen


@contextmanager
def without_the_newest_migration() -> Iterator[str]:
    recorder = MigrationRecorder(connection)
    app, name = max(name for name in recorder.applied_migrations() if name[0] == "jobs")
    recorder.record_unapplied(app, name)
    try:
        assert unapplied() == [(app, name)]
        yield f"{app}.{name}"
    finally:
        recorder.record_applied(app, name)


def answer(port: int) -> raw.Said | None:
    """What it answers to a probe, once it listens."""
    try:
        return raw.ask(port, raw.request("GET", "/livez"))
    except OSError:
        time.sleep(0.1)
        return None


def test_it_listens_where_the_environment_says_and_is_one_process_with_the_server(
    tmp_path: Path, unused_port: int
) -> None:
    left = tmp_path / "gauge_livesum_1.db"
    left.write_bytes(b"of an earlier start")
    own = {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "tests.settings", "PORT": str(unused_port)}
    environ = os.environ | own | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "WEB_THREADS": "4"}
    command = [sys.executable, "manage.py", "serve"]
    process = subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while not (answered := answer(unused_port)):
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < end, "the server did not start"
        assert answered.status == 200
        assert psutil.Process(process.pid).cmdline()[-1] == "jobsite.asgi:application"
        assert not left.exists()
    finally:
        process.terminate()
        assert process.wait(40) == 0


@pytest.mark.usefixtures("started")
def test_it_does_not_start_while_a_migration_is_missing() -> None:
    with without_the_newest_migration() as name, pytest.raises(CommandError, match=name):
        call_command("serve")


def test_without_a_database_it_says_so() -> None:
    own = {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none", "DATABASE_POOL_TIMEOUT": "1"}
    own["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    command = [sys.executable, "manage.py", "serve"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | own, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("CommandError: The database cannot be reached.")


def test_arguments_go_before_settings(started: list[Any], settings: Any) -> None:
    settings.HOST, settings.PORT, settings.WEB_WORKERS = "10.0.0.1", 8001, 3
    with pytest.raises(Started):
        call_command("serve")
    with pytest.raises(Started):
        call_command("serve", "--host", "0.0.0.0", "--port", "9", "--workers", "1")
    first, _, second, _ = started
    names = ("--host", "--port", "--workers")
    assert [first[first.index(name) + 1] for name in names] == ["10.0.0.1", "8001", "3"]
    assert [second[second.index(name) + 1] for name in names] == ["0.0.0.0", "9", "1"]


def test_each_port_has_a_directory_for_metrics(started: list[Any], settings: Any, tmp_path: Path) -> None:
    settings.METRICS_DIR, settings.BASE_DIR = "", tmp_path
    with pytest.raises(Started):
        call_command("serve", "--port", "8007")
    assert started[1]["PROMETHEUS_MULTIPROC_DIR"] == str(tmp_path / ".run/metrics-8007")
    assert (tmp_path / ".run/metrics-8007").is_dir()


def test_static_files_of_an_image_are_used_as_they_are(
    started: list[Any], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.STATIC_ROOT.mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != settings.STATIC_ROOT)
    with pytest.raises(Started):
        call_command("serve")
    assert list(settings.STATIC_ROOT.iterdir()) == []


def test_a_directory_that_cannot_be_written_is_named(started: list[Any], settings: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings.METRICS_DIR = str(tmp_path / "file" / "metrics")
    with pytest.raises(CommandError, match="metrics: Not a directory"):
        call_command("serve")
    assert started == []
