"""A bot of the library does 500 real jobs of the real server, through crashes, hangs and a SIGKILL."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.models import Job, JobEvent
from jobs.states import JobStatus
from tests.client.studio_bot import digest, halved, pixels

from .test_client_library import PATIENCE, nobody_is_at_the_database, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long, pytest.mark.timeout(170)]
ROOT = Path(__file__).resolve().parents[2]
HASHES, PICTURES, EACH, HANGS = 290, 150, 19, 3


class Supervisor:
    """Starts the bot, and starts it again when it was killed or asks for that, as systemd does."""

    def __init__(self, mode: str, environ: dict[str, str]) -> None:
        self.codes: list[int] = []
        self._command = [sys.executable, "-m", "tests.client.studio_bot", mode]
        self._environ = environ
        self._stopping = False
        self._start()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _start(self) -> None:
        self.bot = subprocess.Popen(self._command, cwd=ROOT, env=self._environ)

    def _run(self) -> None:
        while True:
            self.codes.append(self.bot.wait())
            if self._stopping or self.codes[-1] not in (75, -signal.SIGKILL):
                return
            self._start()

    def stop(self) -> None:
        self._stopping = True
        self.bot.terminate()
        self._thread.join(PATIENCE)


@contextmanager
def supervised(mode: str, url: str, token: str) -> Iterator[Supervisor]:
    path = os.pathsep.join([str(ROOT / "client"), str(ROOT)])
    supervisor = Supervisor(mode, os.environ | {"JOBSITE_URL": url, "JOBSITE_TOKEN": token, "PYTHONPATH": path})
    try:
        yield supervisor
    finally:
        supervisor.stop()
        wait_until(nobody_is_at_the_database)


def some_jobs() -> None:
    """500 of them, mixed."""
    jobs = [NewJob("hash", {"number": number}) for number in range(HASHES)]
    jobs += [NewJob("resize", {"number": number}) for number in range(PICTURES)]
    for kind in ("crash", "hopeless", "second_time"):
        jobs += [NewJob(kind, {}, max_attempts=1 if kind == "crash" else 3) for _ in range(EACH)]
    jobs += [NewJob("hang", {}, max_attempts=1) for _ in range(HANGS)]
    assert len(jobs) == 500
    # Always in the same order, and in none.
    random.Random(7).shuffle(jobs)
    insert.enqueue(jobs)


@pytest.mark.parametrize("mode", ["asyncio", "threads", "processes"])
def test_500_jobs_end_as_they_should(live_server, ada_token: str, mode: str) -> None:
    some_jobs()
    with supervised(mode, live_server.url, ada_token) as supervisor:
        wait_until(lambda: Job.objects.exclude(finished_at=None).count() > 100)
        supervisor.bot.kill()
        wait_until(lambda: not Job.objects.filter(finished_at=None).exists())
    assert supervisor.codes[-1] == 0
    assert -signal.SIGKILL in supervisor.codes
    ended = Counter(Job.objects.values_list("kind", "status"))
    good, failed = JobStatus.SUCCEEDED, JobStatus.FAILED
    assert ended == {
        ("hash", good): HASHES, ("resize", good): PICTURES, ("second_time", good): EACH,
        ("crash", failed): EACH, ("hopeless", failed): EACH, ("hang", failed): HANGS,
    }  # fmt: skip
    for job in Job.objects.filter(kind="hash"):
        assert job.result == {"sha256": digest(job.payload["number"])}
    for job in Job.objects.filter(kind="resize"):
        assert job.result == halved(pixels(job.payload["number"]))
    errors = {kind: set(Job.objects.filter(kind=kind).values_list("error", flat=True)) for kind, _ in ended}
    assert all("the disk is full" in error for error in errors["crash"])
    assert errors["hopeless"] == {"There is no file."}
    assert errors["hang"] == {"It ran longer than its time-out of 0.2 s."}
    assert {job.attempt - job.uncounted for job in Job.objects.filter(kind="second_time")} == {2}
    assert {job.attempt - job.uncounted for job in Job.objects.exclude(kind="second_time")} == {1}
    # What the killed process held went back when the next one began, and waited for no sweep.
    assert not JobEvent.objects.filter(verb="expire").exists()
