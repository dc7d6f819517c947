"""The thread of a web process fires what is due, drops what is late, and goes on when the database comes back."""

import threading
import time
from collections.abc import Iterator

import pytest
from django.db import OperationalError, connection

from bots.audit import COMMAND
from jobs import lifecycle
from jobs.lifecycle import By
from jobs.models import JobEvent, Schedule
from jobs.schedules import changes, thread
from jobs.turns import waiting
from jobsite.lib.clock import database_now
from tests.cast import enqueue_one
from tests.jobs.schedules.rules import SECONDS, a_schedule, jobs_of

pytestmark = pytest.mark.django_db(transaction=True)

#: Seconds after which something that should have happened has not.
PATIENCE = 30


@pytest.fixture
def fires() -> Iterator[None]:
    """The thread, until the test is over."""

    def run() -> None:
        thread.fire_until_closed()
        connection.close()

    running = threading.Thread(target=run)
    running.start()
    yield
    waiting.waiters.close()
    running.join()


def made(name: str) -> bool:
    """Whether a job of this schedule is made, before long."""
    until = time.monotonic() + PATIENCE
    while not jobs_of(name) and time.monotonic() < until:
        time.sleep(0.02)
    return bool(jobs_of(name))


def test_it_fires_what_is_made_after_it_began(fires: None) -> None:
    schedule = a_schedule()
    Schedule.objects.filter(pk=schedule.pk).update(next_at=database_now() + 0.2 * SECONDS)
    assert made("nightly")
    (job,) = jobs_of()
    assert job.scheduled_for is not None and job.created_at >= job.scheduled_for


def test_it_goes_on_when_the_database_was_away(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    real, away = thread.run, [OperationalError("gone"), ValueError("odd")]

    def run(name: str) -> list[dict[str, object]]:
        if away:
            raise away.pop()
        return real(name)

    monkeypatch.setattr(thread, "run", run)
    monkeypatch.setattr(thread, "CHECK_EVERY", 0.05)
    schedule = a_schedule()
    Schedule.objects.filter(pk=schedule.pk).update(next_at=database_now())
    request.getfixturevalue("fires")
    assert made("nightly") and not away


def test_one_that_waits_for_a_job_is_looked_at_again(fires: None) -> None:
    schedule = a_schedule(overlap="queue")
    changes.run_now("nightly")
    Schedule.objects.filter(pk=schedule.pk).update(next_at=database_now())
    until = time.monotonic() + PATIENCE
    while not schedule.occurrences.filter(fate="waiting").exists() and time.monotonic() < until:
        time.sleep(0.02)
    lifecycle.cancel([jobs_of()[0].pk], by=By.operator(COMMAND))
    while len(jobs_of()) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    assert len(jobs_of()) == 2


def test_it_drops_a_job_that_was_not_begun_in_time_and_frees_its_key(fires: None) -> None:
    now = database_now()
    job = enqueue_one(key="nightly", unique="unfinished", start_by=now + 2 * SECONDS)
    until = time.monotonic() + PATIENCE
    while not (dropped := JobEvent.objects.filter(job=job, verb="drop")) and time.monotonic() < until:
        time.sleep(0.02)
    assert dropped.get().actor == "sweep"
    assert enqueue_one(key="nightly").pk != job.pk
