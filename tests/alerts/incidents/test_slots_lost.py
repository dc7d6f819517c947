"""Slots that are lost to handlers which do not stop: one incident for the whole fleet."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from alerts.states import Cause, Severity
from bots.models import Bot
from jobs import lifecycle
from jobs.lists import takers
from tests.alerts.passing import look, minutes_pass, sweep_and_look, the_one
from tests.cast import enqueue_one

pytestmark = pytest.mark.django_db


def slots(bot: Bot, name: str, n: int, lost: int) -> None:
    lifecycle.hello(bot, instance=name, identity=name, slots=(n, lost))


def test_lost_slots_open_an_incident_that_names_the_bots_and_how_many(ada: Bot, bob: Bot, told: Any) -> None:
    slots(ada, "one", 4, 1)
    slots(ada, "two", 4, 2)
    slots(bob, "one", 4, 0)
    assert sweep_and_look().opened == 1
    incident = the_one()
    assert (incident.cause, incident.severity) == (Cause.SLOTS_LOST, Severity.WARNING)
    assert incident.title == "ada is short of slots"
    assert incident.reason.startswith("ada: 3 of 8 slots hang in handlers.")


@pytest.mark.parametrize("end", ["a handler ends", "goodbye", "not seen"])
def test_it_resolves_when_the_slots_are_back_or_the_process_is_gone(ada: Bot, end: str) -> None:
    slots(ada, "one", 4, 1)
    sweep_and_look()
    if end == "a handler ends":
        slots(ada, "one", 4, 0)
    elif end == "goodbye":
        lifecycle.goodbye(ada, "one")
    else:
        ada.instances.update(last_seen_at=Now() - timedelta(minutes=5))
    sweep_and_look()
    minutes_pass(3)
    assert look().resolved == 1


def test_a_bot_without_a_free_slot_cannot_take_a_job_though_it_looks_idle(ada: Bot, bob: Bot) -> None:
    enqueue_one()
    slots(ada, "one", 1, 1)
    lifecycle.goodbye(bob, "none")
    counts = takers.takers("sum")
    assert (counts["all"], counts["ready"], counts["without_a_free_slot"]) == (2, 1, 1)
    slots(ada, "two", 2, 0)
    assert takers.takers("sum")["ready"] == 2
    lifecycle.claim(ada, instance="two")
    assert takers.takers("sum")["without_a_free_slot"] == 0
    enqueue_one()
    lifecycle.claim(ada, instance="two")
    assert takers.takers("sum")["without_a_free_slot"] == 1


def test_a_bot_of_which_one_process_does_not_say_its_slots_may_have_a_free_one(ada: Bot) -> None:
    slots(ada, "one", 1, 1)
    assert takers.takers("sum")["without_a_free_slot"] == 1
    lifecycle.hello(ada, instance="of old", identity="of old")
    assert takers.takers("sum")["ready"] == 1
