"""Change priority: a verb of its own, for jobs that have not ended, with an event that has both figures."""

import pytest
from django.db import transaction

from jobs import lifecycle
from jobs.lifecycle import By
from jobs.models import Job, JobEvent
from jobs.states import UNFINISHED, JobStatus, Verb
from tests.cast import enqueue_one, take_one
from tests.race import PATIENCE, racers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def by(olga):
    return By.operator(olga)


def test_a_pending_job_gets_the_priority_and_is_claimed_before_others(ada, by):
    first, second = enqueue_one(), enqueue_one()
    (change,) = lifecycle.prioritise([second.pk], priority=9, by=by, reason="the customer waits")
    assert (change.id, change.previous_status, change.status) == (second.pk, "pending", "pending")
    (claimed,) = lifecycle.claim(ada)
    assert (claimed.id, claimed.priority) == (second.pk, 9)
    assert first.status == JobStatus.PENDING


def test_the_event_says_who_and_why_and_both_figures(by):
    job = enqueue_one(priority=2)
    lifecycle.prioritise([job.pk], priority=-3, by=by, reason="not urgent")
    event = JobEvent.objects.get()
    assert (event.verb, event.by, event.reason) == (Verb.PRIORITISE, "olga", "not urgent")
    assert (event.from_status, event.to_status, event.detail) == ("pending", "pending", {"from": 2, "to": -3})


def test_a_held_job_keeps_its_bot_and_its_lease(ada, by):
    lease = take_one(ada)
    assert lifecycle.prioritise([lease.id], priority=1, by=by)
    assert (lease.job.claimed_by, lease.job.attempt, lease.job.priority) == (ada, 1, 1)
    assert lease.complete(3).accepted == [lease.id]


def test_jobs_that_have_ended_and_jobs_that_have_it_already_are_left_alone(ada, by):
    ended = take_one(ada)
    ended.complete(1)
    same = enqueue_one(priority=4)
    assert lifecycle.prioritise([ended.id, same.pk], priority=4, by=by) == []
    assert not JobEvent.objects.exists()
    assert Job.objects.get(pk=ended.id).status not in UNFINISHED


def test_a_job_that_is_claimed_meanwhile_gets_the_priority_all_the_same(ada, by):
    job = enqueue_one()
    with racers() as race:
        with transaction.atomic():
            (claimed,) = lifecycle.claim(ada)
            waiting = race.go_and_block(lambda: lifecycle.prioritise([job.pk], priority=7, by=by))
        (change,) = waiting.result(PATIENCE)
    job.refresh_from_db()
    assert (claimed.id, change.status) == (job.pk, "processing")
    assert (job.priority, job.status, job.claimed_by) == (7, "processing", ada)


def test_a_job_that_ends_meanwhile_is_left_alone(ada, by):
    lease = take_one(ada)
    with racers() as race:
        with transaction.atomic():
            lease.complete(1)
            waiting = race.go_and_block(lambda: lifecycle.prioritise([lease.id], priority=7, by=by))
        assert waiting.result(PATIENCE) == []
    assert lease.job.priority == 1_000_000
    assert not JobEvent.objects.exists()
