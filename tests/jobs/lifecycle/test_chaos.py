"""Sixteen clients, many jobs, and a client killed twice a second, or more often. `make test-all` takes more jobs.

What happened is read from the clients' own logs and from the events, not from what the server says of itself.
"""

import os
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection

from bots import roster
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.models import Job, JobEvent, JobKind
from jobs.states import Verb
from jobs.sweep import run
from tests.jobs.lifecycle.chaos_client import MOST_REPORTS
from tests.served import served

ROOT = Path(__file__).resolve().parents[3]
CLIENTS, JOBS = 16, int(os.environ.get("CHAOS_JOBS", 1000))
#: Seconds after which something is wrong. It takes a fraction of this.
PATIENCE = 240


@pytest.fixture
def server(transactional_db):
    """The production server on the test database, in processes of its own."""
    with served(DATABASE_POOL_MAX="16", WEB_THREADS="12") as server:
        yield f"http://127.0.0.1:{server.port}"


class Fleet:
    """The clients: each has its bot's token and a new log for each of its lives."""

    def __init__(self, url, directory, way):
        self.url, self.directory, self.way = url, directory, way
        self.tokens = [roster.register(name=f"bot-{n}")[1] for n in range(CLIENTS)]
        self.lives = Counter()
        self.processes = {}

    def start(self, n):
        self.lives[n] += 1
        log = self.directory / f"{n}-{self.lives[n]}.log"
        script = Path(__file__).with_name("chaos_client.py")
        self.processes[n] = subprocess.Popen(
            [sys.executable, script, self.url, self.tokens[n], log, self.way], stderr=subprocess.DEVNULL
        )

    def kill(self, n):
        self.processes[n].kill()
        self.processes[n].wait()

    def logs(self):
        """Every whole line of every life: `(words, which log)`."""
        for path in sorted(self.directory.glob("*.log")):
            for line in path.read_text().splitlines():
                yield line.split(), path.name


@pytest.mark.timeout(170)
@pytest.mark.parametrize(("way", "jobs"), [("calls", JOBS), ("exchange", 5 * JOBS)])
def test_every_job_ends_once_and_no_lease_is_ever_held_by_two(server, tmp_path, way, jobs):
    JobKind.objects.create(name="double", heartbeat_within=timedelta(seconds=20), max_attempts=1000)
    insert.enqueue([NewJob("double", {"n": n}) for n in range(jobs)])
    fleet = Fleet(server, tmp_path, way)
    for n in range(CLIENTS):
        fleet.start(n)
    killed, last, until = 0, time.monotonic(), time.monotonic() + PATIENCE
    while Job.objects.exclude(status="succeeded").exists():
        assert time.monotonic() < until, Counter(Job.objects.values_list("status", flat=True))
        run.sweep()
        # A quick machine is done in a second.
        if time.monotonic() - last > 0.5 or Job.objects.filter(status="succeeded").count() > killed * jobs / 20:
            n = random.randrange(CLIENTS)
            fleet.kill(n)
            fleet.start(n)
            killed, last = killed + 1, time.monotonic()
        for _ in range(5):
            time.sleep(random.uniform(0, 0.02))
            assert not_as_busy_as_they_are() == []
    for n in range(CLIENTS):
        fleet.kill(n)
    assert killed >= 3
    check(fleet, jobs)


#: In one statement, and so at one moment. A bot that was not seen for long is down, whatever it holds.
_NOT_AS_BUSY = """
    SELECT b.name, b.status FROM bots_bot b
    WHERE b.status <> 'down' AND (b.status = 'busy') <> EXISTS (SELECT FROM jobs_job j WHERE j.claimed_by_id = b.id)
"""


def not_as_busy_as_they_are():
    """Bots that are busy with nothing, or idle with something."""
    with connection.cursor() as cursor:
        cursor.execute(_NOT_AS_BUSY)
        return cursor.fetchall()


def check(fleet, jobs):
    """What the clients saw, beside the events."""
    holders, accepted, refused = defaultdict(set), defaultdict(set), set()
    for words, log in fleet.logs():
        if words[0] == "claim" and len(words) == 3:
            holders[int(words[1]), int(words[2])].add(log)
        elif words[0] == "done" and len(words) == 4:
            lease = (int(words[1]), int(words[2]))
            if words[3] == "200":
                accepted[lease[0]].add(lease[1])
            else:
                assert words[3] == "409", words
                refused.add(lease)

    assert {lease: logs for lease, logs in holders.items() if len(logs) > 1} == {}
    assert {job: attempts for job, attempts in accepted.items() if len(attempts) > 1} == {}
    rows = {job.pk: job for job in Job.objects.all()}
    assert len(rows) == jobs
    # A client that was killed between the answer and its log knows nothing of its last call, and no more than that.
    assert len(rows) - len(accepted) <= sum(fleet.lives.values()) * MOST_REPORTS[fleet.way]
    for job_id, (attempt,) in accepted.items():
        assert rows[job_id].attempt == attempt
        assert (job_id, attempt) not in refused
    for job in rows.values():
        assert job.result == job.payload["n"] * 2

    # Attempts only grow, and each attempt but the last ended in one event: nothing was lost and nothing was doubled.
    ended = Counter()
    for event in JobEvent.objects.filter(verb__in=[Verb.RELEASE, Verb.EXPIRE]).order_by("id"):
        ended[event.job_id] += 1
        assert event.attempt == ended[event.job_id]
    for job in rows.values():
        assert job.attempt == ended[job.pk] + 1
