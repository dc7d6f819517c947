"""Somebody takes an incident on."""

import pytest

from alerts.incidents import acknowledge
from alerts.models import Incident
from bots.audit import Who
from jobs import lifecycle
from tests.alerts.passing import look, minutes_pass, notes_of, sweep_and_look, the_one
from tests.cast import bot_named, make_older, take_one

pytestmark = pytest.mark.django_db


@pytest.fixture
def incident(ada):
    make_older(take_one(ada), 3)
    sweep_and_look()
    return the_one()


def test_it_is_somebodys_with_a_note_and_tells_nobody(incident, told):
    (taken,) = acknowledge.acknowledge([incident.pk], by=Who("olga"), remark=" I am on it ")
    assert (taken.acknowledged_by, taken.status, taken.state) == ("olga", "acknowledged", 1)
    assert taken.acknowledged_at is not None
    note = taken.notes.get(by="olga")
    assert note.text == "Acknowledged: I am on it"
    assert told == []


def test_without_a_remark_it_says_so_all_the_same(incident):
    acknowledge.acknowledge([incident.pk], by=Who("olga"))
    assert notes_of(incident)[-1] == "Acknowledged."


def test_the_first_one_has_it(incident):
    acknowledge.acknowledge([incident.pk], by=Who("olga"))
    assert acknowledge.acknowledge([incident.pk], by=Who("bert")) == []
    assert the_one().acknowledged_by == "olga"
    assert not the_one().notes.filter(by="bert").exists()


def test_what_is_over_or_unknown_cannot_be_taken_on(incident):
    Incident.objects.update(resolved_at="2026-01-01T00:00Z")
    assert acknowledge.acknowledge([incident.pk, 4711], by=Who("olga")) == []


def test_it_stays_acknowledged_while_it_does_not_get_worse(incident, told):
    acknowledge.acknowledge([incident.pk], by=Who("olga"))
    minutes_pass(5)
    sweep_and_look()
    assert the_one().status == "acknowledged"
    assert told == []


def test_when_it_gets_worse_it_asks_again(incident, told):
    acknowledge.acknowledge([incident.pk], by=Who("olga"))
    minutes_pass(5)
    make_older(take_one(bot_named("bob")), 3)
    sweep_and_look()
    assert the_one().status == "open"
    assert "Got worse after olga acknowledged it; open again." in notes_of(incident)
    assert [moment for _, moment, _, _ in told] == ["worse"]


def test_an_acknowledged_incident_resolves_and_keeps_who_had_it(incident, olga, told):
    acknowledge.acknowledge([incident.pk], by=Who("olga"))
    lifecycle.release([incident.bots.get().job_id], by=lifecycle.By.operator(olga))
    look()
    minutes_pass(3)
    assert look().resolved == 1
    assert (the_one().status, the_one().acknowledged_by) == ("resolved", "olga")
    assert [moment for _, moment, _, _ in told] == ["resolved"]
