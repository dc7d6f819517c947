"""A job that failed waits by the attempts it has used: one that was given back counts for nothing."""

from datetime import timedelta

import pytest
from django.db.models import F

from bots.models import Bot
from jobs import lifecycle
from jobs.backoff import JITTER, MAX_DOUBLINGS
from jobs.lifecycle import SWEEP
from jobs.models import Job, JobEvent, JobKind
from jobs.states import Verb
from tests.cast import Lease, enqueue_one, make_older

pytestmark = pytest.mark.django_db

UNIT = timedelta(seconds=100)


@pytest.fixture
def job(db: None) -> Job:
    job = enqueue_one(max_attempts=1000)
    JobKind.objects.update(backoff=UNIT)
    return job


def take(bot: Bot, job: Job) -> Lease:
    make_older(job, 1_000_000)
    (claimed,) = lifecycle.claim(bot)
    return Lease(bot, job.pk, claimed.attempt)


def waited(lease: Lease) -> float:
    """How many units the failed job waits."""
    lease.fail()
    failed = JobEvent.objects.filter(job=lease.id, verb=Verb.FAIL).latest("id")
    return (lease.job.run_at - failed.at) / UNIT


def near(units: float, times: float) -> bool:
    return times * (1 - JITTER) <= units <= times * (1 + JITTER)


def test_each_attempt_that_failed_doubles_it(ada: Bot, job: Job) -> None:
    assert all(near(waited(take(ada, job)), 2**n) for n in range(4))


def test_attempts_that_were_given_back_do_not(ada: Bot, job: Job) -> None:
    for n in range(10):
        lease = take(ada, job)
        lease.hand_back() if n % 2 else lifecycle.release([lease.id], by=SWEEP)
    assert near(waited(take(ada, job)), 1)
    assert near(waited(take(ada, job)), 2)


def test_attempts_that_expired_do(ada: Bot, job: Job) -> None:
    lifecycle.expire([take(ada, job).id], by=SWEEP, reasons={job.pk: "silent"})
    assert near(waited(take(ada, job)), 2)


def test_a_retry_begins_it_again(ada: Bot, job: Job) -> None:
    for _ in range(3):
        waited(take(ada, job))
    lifecycle.cancel([job.pk], by=SWEEP)
    lifecycle.retry([job.pk], by=SWEEP)
    assert near(waited(take(ada, job)), 1)


def test_it_stops_growing(ada: Bot, job: Job) -> None:
    Job.objects.update(attempt=F("attempt") + 900)
    assert near(waited(take(ada, job)), 2**MAX_DOUBLINGS)


def test_jobs_that_failed_together_do_not_return_together(ada: Bot, job: Job) -> None:
    others = [enqueue_one(max_attempts=1000) for _ in range(20)]
    leases = [Lease(ada, claimed.id, claimed.attempt) for claimed in lifecycle.claim(ada, limit=len(others) + 1)]
    lifecycle.fail([lease.report(error="x") for lease in leases], by=leases[0].by)
    delays = set(Job.objects.values_list("run_at", flat=True))
    assert len(delays) == len(leases)
