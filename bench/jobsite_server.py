"""Run Jobsite for the bench: a prepared database, and the web server as `make serve` starts it."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench import programs
from bench.database import Server
from bench.places import LOGS, ROOT
from jobsite.serving.command_line import command_line

TEMPLATE = "bench_jobsite_template"
#: Bots with a token; the pickup scenario needs the most.
BOTS = 3000
KIND = "noop"
#: Preload jobs with defaults for all but the kind.
FILL = "INSERT INTO jobs_job (kind_id, payload) SELECT 'noop', '{}' FROM generate_series(1, %d)"


def environment(url: str) -> dict[str, str]:
    """Return the environment of production, for our programs."""
    own = {"DATABASE_URL": url, "DEBUG": "0", "HTTPS": "0", "SECRET_KEY": secrets.token_urlsafe(50)}
    return dict(os.environ) | own | {"DJANGO_SETTINGS_MODULE": "jobsite.settings", "LOG_LEVEL": "WARNING"}


@dataclass
class Fleet:
    """The credentials: a token for each bot, and a producer's key."""

    tokens: list[str]
    key: str


def make_template(server: Server) -> Fleet:
    """Create a migrated database with bots and a producer, to copy for each measurement."""
    server.drop(TEMPLATE)
    server.run("postgres", f"CREATE DATABASE {TEMPLATE}")
    done = subprocess.run(
        [sys.executable, "-m", "bench.jobsite_setup", str(BOTS)],
        env=environment(server.url(TEMPLATE)), cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"Jobsite could not be set up:\n{done.stderr[-3000:]}")
    server.run(TEMPLATE, f"INSERT INTO jobs_jobkind (name) VALUES ('{KIND}')")
    return Fleet(**json.loads(done.stdout.splitlines()[-1]))


def served_as(port: int, workers: int | None = None) -> list[str]:
    """Return the command of this run, with so many processes, or with the environment's `WEB_WORKERS`."""
    return command_line(port, workers=workers or int(os.environ.get("WEB_WORKERS", 1)))


@dataclass
class Site:
    """A running web server."""

    url: str
    port: int
    process: psutil.Process

    def workers(self) -> list[psutil.Process]:
        """Return the processes that answer calls."""
        processes: list[psutil.Process] = self.process.children(recursive=True)
        return processes

    def cpu(self) -> float:
        """Return the seconds of CPU that they have used so far."""
        used = [process.cpu_times() for process in (self.process, *self.workers())]
        return float(sum(times.user + times.system for times in used))

    def memory(self) -> list[int]:
        """Return each worker's memory in bytes (PSS: shared pages are divided among their users)."""
        return [process.memory_full_info().pss for process in self.workers()]


def free_port() -> int:
    """Return a port that is not in use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def site(
    server: Server, name: str, *, environ: dict[str, str] | None = None, workers: int | None = None
) -> Iterator[Site]:
    """Run Jobsite on the database `name`, as `make serve` does."""
    port = free_port()
    command = served_as(port, workers)
    LOGS.mkdir(parents=True, exist_ok=True)
    log_path = LOGS / "jobsite.log"
    with log_path.open("wb") as log:
        own = environment(server.url(name)) | (environ or {})
        process = programs.start(command, env=own, cwd=ROOT, stdout=log, stderr=log)
    try:
        _wait_for(port, process, log_path)
        yield Site(f"http://127.0.0.1:{port}", port, psutil.Process(process.pid))
    finally:
        programs.stop(process)


@contextmanager
def sweeping(server: Server, name: str, every: float) -> Iterator[psutil.Process]:
    """Run a sweep of the database `name` every so many seconds. Each deletes all that is old."""
    command = [sys.executable, "manage.py", "sweep_stuck", "--loop", str(every)]
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / "sweeps.log").open("wb") as log:
        own = environment(server.url(name)) | {"PRUNE_MOST": "1000000"}
        process = programs.start(command, env=own, cwd=ROOT, stdout=log, stderr=log)
        try:
            yield psutil.Process(process.pid)
        finally:
            programs.stop(process)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 30
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError("Jobsite did not start:\n" + log.read_text(errors="replace")[-2000:])
        time.sleep(0.05)
