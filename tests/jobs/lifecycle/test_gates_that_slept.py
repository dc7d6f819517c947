"""A job whose group or kind has slept goes when it may, whatever else is due, and nobody waits for a gate in vain."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from bots.models import Bot
from jobs import lifecycle
from jobs.models import Gate, Job, JobKind
from tests.cast import enqueue_one
from tests.jobs.lifecycle.test_limits import add, claim, groups, limit

pytestmark = pytest.mark.django_db(transaction=True)


def minutes_pass() -> None:
    """What waits for its time is due, and what sleeps for a while has slept."""
    Job.objects.filter(status="pending").update(run_at=F("run_at") - timedelta(hours=1))
    Gate.objects.filter(due_at__lt="9999-01-01T00:00Z").update(due_at=F("due_at") - timedelta(hours=1))


def asleep() -> None:
    """Two looks put a gate to sleep."""
    for _ in range(2):
        connection.cursor().execute("UPDATE jobs_gate SET due_at = now() WHERE due_at > now() AND due_at < 'infinity'")


def test_a_delayed_job_of_a_group_goes_before_a_backlog_of_lower_priority(ada: Bot) -> None:
    add("acme", priority=100, delay=60.0)
    assert claim(ada) == claim(ada) == []
    asleep()
    assert claim(ada) == []
    for _ in range(3):
        enqueue_one("plain")
    minutes_pass()
    assert groups(claim(ada)) == ["acme"]


def test_a_group_behind_one_whose_job_is_due_later_goes_first(ada: Bot) -> None:
    add("a", delay=3600.0)
    add("b", priority=100)
    for _ in range(3):
        enqueue_one("plain")
    assert groups(claim(ada)) == ["b"]


def test_a_job_that_is_retried_goes_by_limits_that_were_set_since(ada: Bot) -> None:
    enqueue_one()
    (lease,) = claim(ada)
    lease.fail(retry=False)
    limit(max_held=1)
    lifecycle.retry([lease.id], by=lifecycle.SWEEP)
    assert [again.id for again in claim(ada)] == [lease.id]
    limit(max_held=None)
    assert Job.objects.get().gated


def test_a_claim_does_not_wait_for_a_gate_of_a_paused_kind(ada: Bot) -> None:
    add("acme", delay=3600.0)
    claim(ada)
    JobKind.objects.update(paused=True)
    Gate.objects.update(open=False, due_at=Now() - timedelta(seconds=1))
    request = lifecycle.turn_request(ada.pk, lifecycle.ClaimRequest(1, None, True))
    assert lifecycle.take_turn(request).opens_in is None


def test_a_group_that_was_shut_does_not_catch_up_when_it_is_open_again(ada: Bot) -> None:
    add(*["a"] * 9, *["b"] * 9)
    lifecycle.throttle("sum", "b", 3600, by=lifecycle.SWEEP)
    assert groups(claim(ada, 6)) == ["a"] * 6
    lifecycle.lift("sum", "b", by=lifecycle.SWEEP)
    assert sorted(groups(claim(ada, 6))) == ["a"] * 3 + ["b"] * 3


def test_a_job_for_another_bot_first_keeps_its_gate_open(ada: Bot, bob: Bot) -> None:
    add("acme")
    (lease,) = claim(ada)
    lease.hand_back()
    instance = ada.instances.get_or_create(name="", defaults={"started_at": Now(), "last_seen_at": Now()})[0]
    Job.objects.update(not_for=instance.pk, not_for_until=Now() + timedelta(minutes=1))
    assert claim(ada) == claim(ada) == []
    assert groups(claim(bob)) == ["acme"]
