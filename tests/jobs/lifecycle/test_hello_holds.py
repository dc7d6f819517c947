"""A bot process that goes on says hello with what it holds: what it was given and never heard of goes back."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client
from psycopg.errors import QueryCanceled

from bots.models import Bot
from jobs import lifecycle
from jobs.errors import InstanceReplaced
from jobs.lifecycle import By, processes
from jobs.models import Job, JobEvent
from jobs.states import JobStatus
from jobsite.lib.errors import OutcomeUnknown
from tests.api.calls import send
from tests.cast import enqueue_one

pytestmark = pytest.mark.django_db


def hold(bot: Bot, instance: str, **fields: Any) -> Job:
    job = enqueue_one(priority=5, **fields)
    lifecycle.claim(bot, instance=instance)
    return Job.objects.get(pk=job.pk)


def test_a_process_that_goes_on_keeps_what_it_names_and_gives_back_the_rest_of_its_own(ada: Bot) -> None:
    lifecycle.hello(ada, instance="first")
    known, lost = hold(ada, "first"), hold(ada, "first")
    (change,) = lifecycle.hello(ada, instance="first", holds=[(known.pk, 1)])
    assert (change.id, change.status) == (lost.pk, JobStatus.PENDING)
    known.refresh_from_db()
    lost.refresh_from_db()
    assert (known.claimed_by, lost.claimed_by, lost.uncounted) == (ada, None, 1)
    event = JobEvent.objects.get()
    assert (event.verb, event.actor, event.by) == ("release", "bot", "ada")
    assert "the answer was lost" in event.reason


def test_under_a_new_name_it_keeps_what_it_names_and_its_open_claims_are_refused(ada: Bot) -> None:
    lifecycle.hello(ada, instance="first")
    known, lost = hold(ada, "first"), hold(ada, "first")
    assert [change.id for change in lifecycle.hello(ada, instance="second", holds=[(known.pk, 1)])] == [lost.pk]
    with pytest.raises(InstanceReplaced):
        lifecycle.claim(ada, instance="first")
    known.refresh_from_db()
    assert known.claimed_by == ada


def test_a_process_that_was_replaced_does_not_come_back_by_what_it_holds(ada: Bot) -> None:
    lifecycle.hello(ada, instance="first")
    lifecycle.hello(ada, instance="newer")
    job = hold(ada, "newer")
    with pytest.raises(InstanceReplaced, match="'newer'"):
        lifecycle.hello(ada, instance="second", holds=[], before="first")
    job.refresh_from_db()
    assert job.claimed_by == ada


def test_it_may_say_the_same_hello_twice(ada: Bot) -> None:
    lifecycle.hello(ada, instance="first")
    for _ in range(2):
        lifecycle.hello(ada, instance="second", holds=[], before="first")
    assert [i.name for i in ada.instances.current()] == ["second"]


def test_a_lease_is_named_by_job_and_attempt(ada: Bot) -> None:
    lifecycle.hello(ada, instance="first")
    job = hold(ada, "first")
    assert [change.id for change in lifecycle.hello(ada, instance="first", holds=[(job.pk, 2)])] == [job.pk]


def test_beside_other_processes_it_gives_back_only_its_own(ada: Bot) -> None:
    lifecycle.hello(ada, instance="one", alone=False)
    mine, other = hold(ada, "one"), hold(ada, "two")
    assert [c.id for c in lifecycle.hello(ada, instance="one", alone=False, holds=[])] == [mine.pk]
    other.refresh_from_db()
    assert other.claimed_by == ada


def test_what_it_names_and_does_not_hold_changes_nothing(ada: Bot, bob: Bot) -> None:
    theirs, free = hold(bob, "first"), enqueue_one()
    assert lifecycle.hello(ada, instance="first", holds=[(theirs.pk, 1), (free.pk, 1), (10**9, 1)]) == []
    theirs.refresh_from_db()
    assert theirs.claimed_by == bob


def test_a_job_with_one_attempt_that_no_bot_has_seen_does_not_fail(ada: Bot) -> None:
    lifecycle.hello(ada, instance="first")
    job = hold(ada, "first", max_attempts=1)
    lifecycle.hello(ada, instance="first", holds=[])
    assert [claimed.id for claimed in lifecycle.claim(ada, instance="first")] == [job.pk]


def test_a_restart_that_was_asked_for_is_told_to_a_process_that_goes_on(
    client: Client, ada: Bot, ada_token: str, olga: User
) -> None:
    body: dict[str, Any] = {"instance": "first"}
    assert send(client, ada_token, "POST", "/hello", body).json()["restart"] is False
    lifecycle.restart(Bot.objects.filter(pk=ada.pk), by=By.operator(olga))
    assert send(client, ada_token, "POST", "/hello", body | {"holds": []}).json()["restart"] is True
    assert send(client, ada_token, "POST", "/hello", body | {"holds": []}).json()["restart"] is False


def test_one_that_fails_after_its_first_half_does_not_say_that_nothing_was_done(
    ada: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    lifecycle.hello(ada, instance="first")
    job = hold(ada, "first")

    def fail(*args: Any, **params: Any) -> None:
        raise OperationalError("canceling statement due to user request") from QueryCanceled()

    monkeypatch.setattr(processes, "run", fail)
    with pytest.raises(OutcomeUnknown, match="Call hello again"):
        lifecycle.hello(ada, instance="second", holds=[(job.pk, job.attempt)], before="first")
    assert ada.instances.get(name="first").replaced_by == "second"
