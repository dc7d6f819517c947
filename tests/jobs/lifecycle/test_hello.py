"""A bot process says hello; one that is alone takes over from its earlier lives, and what they held goes back."""

import pytest
from django.contrib.auth.models import User

from bots.models import Bot
from bots.states import BotStatus
from jobs import lifecycle
from jobs.lifecycle import By
from jobs.models import Job, JobEvent
from jobs.states import JobStatus
from tests.cast import enqueue_one, make_older, take_one

pytestmark = pytest.mark.django_db


def hold(bot: Bot, instance: str) -> Job:
    job = enqueue_one(priority=5)
    lifecycle.claim(bot, instance=instance)
    return Job.objects.get(pk=job.pk)


def test_what_an_earlier_life_held_goes_back_at_once_and_is_not_counted(ada: Bot) -> None:
    lifecycle.hello(ada, instance="first")
    job = hold(ada, "first")
    (change,) = lifecycle.hello(ada, instance="second")
    job.refresh_from_db()
    assert (change.id, job.status, job.uncounted) == (job.pk, JobStatus.PENDING, 1)
    event = JobEvent.objects.get()
    assert (event.verb, event.actor, event.by) == ("release", "bot", "ada")
    assert "started again" in event.reason


def test_what_was_claimed_before_any_hello_goes_back_too(ada: Bot) -> None:
    job = hold(ada, "")
    lifecycle.hello(ada, instance="first")
    job.refresh_from_db()
    assert job.status == JobStatus.PENDING


def test_the_same_life_may_say_hello_again_and_keeps_what_it_holds(ada: Bot) -> None:
    lifecycle.hello(ada, instance="first")
    job = hold(ada, "first")
    assert lifecycle.hello(ada, instance="first") == []
    job.refresh_from_db()
    assert job.claimed_by == ada


def test_other_bots_keep_what_they_hold(ada: Bot, bob: Bot) -> None:
    job = hold(bob, "first")
    assert lifecycle.hello(ada, instance="second") == []
    job.refresh_from_db()
    assert job.claimed_by == bob


def test_processes_that_are_not_alone_share_the_bot(ada: Bot) -> None:
    lifecycle.hello(ada, instance="one", alone=False)
    job = hold(ada, "one")
    assert lifecycle.hello(ada, instance="two", alone=False) == []
    job.refresh_from_db()
    assert job.claimed_by == ada
    enqueue_one()
    assert len(lifecycle.claim(ada, instance="one")) == 1


def test_hello_is_a_sign_of_life_with_a_version(ada: Bot) -> None:
    Bot.objects.filter(pk=ada.pk).update(status=BotStatus.DOWN)
    lifecycle.hello(ada, instance="first", version="1.2")
    ada.refresh_from_db()
    assert (ada.status, ada.version) == (BotStatus.IDLE, "1.2")
    first = ada.instances.get()
    assert (first.name, first.identity, first.version, first.ended_at) == ("first", "", "1.2", None)
    assert ada.last_seen_at is not None


def test_a_restart_that_was_asked_for_is_answered_by_hello(ada: Bot, olga: User) -> None:
    lifecycle.hello(ada, instance="first")
    lifecycle.restart(Bot.objects.filter(pk=ada.pk), by=By.operator(olga))
    # It says hello when it starts, so it is told at every call until it does.
    assert [lifecycle.orders(ada, "first")["restart"] for _ in range(2)] == [True, True]
    lifecycle.hello(ada, instance="second")
    assert not lifecycle.orders(ada, "second")["restart"]


def test_a_bot_that_says_hello_beside_others_of_its_processes_stays_stuck_on_what_they_hold(ada: Bot) -> None:
    lifecycle.hello(ada, instance="one", alone=False)
    lease = take_one(ada)
    make_older(lease, 3)
    lifecycle.regrade(Bot.objects.all())
    ada.refresh_from_db()
    before = (ada.health_status, ada.health_reason, ada.stuck_job_id)
    assert (before[0], before[2]) == ("potentially_stuck", lease.id)
    lifecycle.hello(ada, instance="two", alone=False)
    ada.refresh_from_db()
    assert (ada.health_status, ada.health_reason, ada.stuck_job_id) == before
    assert ada.status == BotStatus.BUSY
