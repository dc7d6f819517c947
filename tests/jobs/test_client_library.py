"""The bot library against the real server: what it promises its users, it keeps here."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.db import connection

from bots.models import Bot
from jobs import lifecycle
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.models import Job, JobEvent
from jobs.states import JobStatus
from jobs.turns import waiting
from jobsite_client import Bot as Runner
from jobsite_client import Client

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
    insert.enqueue(
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
    insert.enqueue([NewJob("sum", {"numbers": [1, 2]})])
    bot = demo("--slow", "600", "--grace", "0.1")
    wait_until(lambda: Job.objects.held().exists())
    bot.send_signal(signal.SIGTERM)
    assert bot.wait(PATIENCE) == 0
    job = Job.objects.get()
    assert (job.status, job.attempt, job.uncounted) == (JobStatus.PENDING, 1, 1)
    assert JobEvent.objects.get().actor == "bot"


def test_a_bot_that_crashed_gives_its_job_back_as_soon_as_it_is_started_again(demo):
    insert.enqueue([NewJob("sum", {"numbers": [1, 2]})])
    crashed = demo("--crash")
    assert crashed.wait(PATIENCE) != 0
    assert Job.objects.held_by(Bot.objects.get(name="ada")).count() == 1
    demo()
    wait_until(lambda: Job.objects.get().status == JobStatus.SUCCEEDED)
    assert Job.objects.get().attempt == 2


def test_jobs_held_ready_are_done_in_batches_and_one_bad_result_fails_alone(live_server, ada_token, tmp_path):
    insert.enqueue([NewJob("sum", {"n": n}) for n in range(300)])
    calls = []

    class Counting(Client):
        def send(self, request):
            calls.append(request.path)
            return super().send(request)

    def double(job):
        # NUL is JSON, and the database cannot keep it.
        return "\0" if job.payload["n"] == 150 else job.payload["n"] * 2

    client = Counting(live_server.url, ada_token)
    bot = Runner("", "", {"sum": double}, concurrency=4, prefetch=40, keep_results_in=tmp_path, client=client)
    thread = threading.Thread(target=bot.run)
    thread.start()
    wait_until(lambda: not Job.objects.exclude(status__in=["succeeded", "failed"]).exists())
    bot.stop()
    thread.join(PATIENCE)
    wait_until(nobody_is_at_the_database)
    assert all(job.result == job.payload["n"] * 2 for job in Job.objects.filter(status=JobStatus.SUCCEEDED))
    failed = Job.objects.get(status=JobStatus.FAILED)
    assert (failed.payload["n"], failed.attempt) == (150, 1)
    assert "refused the result" in failed.error
    assert Job.objects.filter(attempt=1).count() == 300
    assert len(calls) < 300


def test_the_claim_that_a_stopped_bot_left_behind_gets_nothing(demo):
    bot = demo()
    wait_until(lambda: len(waiting.waiters) == 1)
    bot.send_signal(signal.SIGTERM)
    assert bot.wait(PATIENCE) == 0
    insert.enqueue([NewJob("sum", {"numbers": [1, 2]})])
    wait_until(lambda: len(waiting.waiters) == 0)
    job = Job.objects.get()
    assert (job.status, job.attempt) == (JobStatus.PENDING, 0)


def test_a_bot_that_was_replaced_while_it_waited_leaves_its_successor_in_place(demo):
    bot = demo()
    wait_until(lambda: len(waiting.waiters) == 1)
    ada = Bot.objects.get(name="ada")
    lifecycle.hello(ada, instance="successor")
    bot.send_signal(signal.SIGTERM)
    # 76, if a look for jobs has told it before the signal came.
    assert bot.wait(PATIENCE) in (0, 76)
    assert [i.name for i in ada.instances.current()] == ["successor"]
