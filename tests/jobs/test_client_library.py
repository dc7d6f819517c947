"""The bot library against the real server: what it promises its users, it keeps here."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.db import connection

from bots.models import Bot
from jobs import lifecycle
from jobs.lifecycle import NewJob
from jobs.models import Job, JobEvent
from jobs.states import JobStatus

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]
#: Seconds after which something that should have happened has not.
PATIENCE = 60


@pytest.fixture
def demo(live_server, tmp_path, ada_token):
    """`demo(*flags)`: a demo bot in a process of its own, working as ada."""
    path = tmp_path / "token"
    path.write_text(ada_token)
    started = []

    def start(*flags):
        command = [sys.executable, "client/examples/demo_bot.py", "--url", live_server.url, "--token-file", str(path)]
        started.append(subprocess.Popen([*command, "--root", str(ROOT), *flags], cwd=ROOT, stderr=subprocess.PIPE))
        return started[-1]

    yield start
    # In good order, and not by SIGKILL: a call still in the server's hands would meet the emptying of the tables.
    for process in started:
        process.terminate()
    for process in started:
        process.communicate(timeout=PATIENCE)
    wait_until(nobody_is_at_the_database)


def nobody_is_at_the_database():
    """Whether every other connection to the tests' database has nothing to do."""
    busy = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT NOT EXISTS ({busy} AND state <> 'idle')")
        return cursor.fetchone()[0]


def wait_until(true):
    """Ask again and again until it is true."""
    until = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < until, list(Job.objects.values_list("status", "error"))
        time.sleep(0.05)


def test_real_jobs_come_back_with_their_results(demo):
    lifecycle.enqueue(
        [
            NewJob("sum", {"numbers": [1, 2]}),
            NewJob("multiply", {"numbers": [10**40, 10**40]}),
            NewJob("divide", {"numbers": [1, 0]}),
            NewJob("wordcount", {"path": "README.md"}),
        ]
    )
    demo()
    wait_until(lambda: not Job.objects.exclude(status__in=["succeeded", "failed"]).exists())
    total, product, quotient, words = Job.objects.order_by("id")
    assert "3" in str(total.result)
    assert str(10**80) in str(product.result)
    assert (quotient.status, quotient.attempt) == (JobStatus.FAILED, 1)
    assert "zero" in quotient.error
    assert words.status == JobStatus.SUCCEEDED


def test_sigterm_hands_the_job_back_without_counting_it(demo):
    lifecycle.enqueue([NewJob("sum", {"numbers": [1, 2]})])
    bot = demo("--slow", "600", "--grace", "0.1")
    wait_until(lambda: Job.objects.held().exists())
    bot.send_signal(signal.SIGTERM)
    assert bot.wait(PATIENCE) == 0
    job = Job.objects.get()
    assert (job.status, job.attempt, job.uncounted) == (JobStatus.PENDING, 1, 1)
    assert JobEvent.objects.get().actor == "bot"


def test_a_bot_that_crashed_gives_its_job_back_as_soon_as_it_is_started_again(demo):
    lifecycle.enqueue([NewJob("sum", {"numbers": [1, 2]})])
    crashed = demo("--crash")
    assert crashed.wait(PATIENCE) != 0
    assert Job.objects.held_by(Bot.objects.get(name="ada")).count() == 1
    demo()
    wait_until(lambda: Job.objects.get().status == JobStatus.SUCCEEDED)
    assert Job.objects.get().attempt == 2
