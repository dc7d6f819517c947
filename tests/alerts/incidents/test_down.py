"""Bots that should be there and are not, and bots in quarantine: one incident each for the whole fleet."""

import re
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from alerts.models import Incident
from alerts.states import Cause, Severity
from bots import roster
from bots.models import Bot
from jobs import lifecycle
from jobs.lifecycle import By
from tests.alerts.passing import look, minutes_pass, notes_of, sweep_and_look, the_one
from tests.cast import bot_named, make_older, put_in_quarantine, take_one

pytestmark = pytest.mark.django_db


def last_seen(minutes, **which):
    Bot.objects.filter(**which).update(last_seen_at=Now() - timedelta(minutes=minutes))


def fleet(many, **fields):
    for n in range(many):
        bot_named(f"bot {n:02}", **fields)
    last_seen(0)


def test_a_bot_that_stops_calling_is_down_and_missed(told):
    fleet(4)
    last_seen(5, name="bot 01")
    assert sweep_and_look().opened == 1
    incident = the_one()
    assert (incident.cause, incident.about, incident.kind, incident.severity) == (Cause.DOWN, "", "", Severity.WARNING)
    assert incident.title == "bot 01 is down"
    assert re.fullmatch(r"1 of 4 expected bots\. bot 01: not seen since 20\S+ \S+ UTC, limit 2 m", incident.reason)
    assert told == [("down", "opened", 1, "bot 01 is down")]


def test_it_is_critical_when_more_than_half_of_the_fleet_is_down():
    fleet(3)
    last_seen(5, name__in=["bot 01", "bot 02"])
    sweep_and_look()
    assert the_one().severity == Severity.CRITICAL
    assert the_one().title == "2 bots are down: bot 01, bot 02"


def test_it_resolves_when_the_bot_calls_again(told):
    fleet(3)
    last_seen(5, name="bot 01")
    sweep_and_look()
    lifecycle.see(Bot.objects.get(name="bot 01"), always=True)
    sweep_and_look()
    minutes_pass(3)
    assert look().resolved == 1
    assert [moment for _, moment, _, _ in told] == ["opened", "resolved"]


@pytest.mark.parametrize(
    "fields", [{"paused": True}, {"expected": False}, {"token_digest": None}, {"last_seen_at": None}], ids=str
)
def test_a_bot_that_need_not_be_there_is_not_missed(fields):
    fleet(3)
    last_seen(5, name="bot 01")
    Bot.objects.filter(name="bot 01").update(created_at=Now() - timedelta(hours=1), **fields)
    sweep_and_look()
    assert Bot.objects.get(name="bot 01").status == "down"
    assert not Incident.objects.exists()


def test_a_bot_that_was_gone_long_before_is_no_news_and_one_that_is_missed_stays_missed():
    fleet(3)
    last_seen(60 * 25, name="bot 00")
    last_seen(5, name="bot 01")
    sweep_and_look()
    last_seen(60 * 25, name="bot 01")
    sweep_and_look()
    minutes_pass(60 * 25)
    look()
    incident = the_one()
    assert incident.status == "open"
    assert [row.name for row in incident.bots.filter(until=None)] == ["bot 01"]
    assert incident.reason.startswith("1 of 2 expected bots.")


def test_pausing_a_bot_that_has_gone_for_good_ends_it():
    fleet(3)
    last_seen(5, name="bot 01")
    sweep_and_look()
    roster.pause(Bot.objects.filter(name="bot 01"))
    look()
    minutes_pass(3)
    assert look().resolved == 1
    assert "Recovered: bot 01." in notes_of(the_one())


def test_a_bot_that_died_with_a_job_is_one_incident_and_not_two(ada, bob):
    lease = take_one(ada)
    make_older(lease, 3)
    last_seen(3, name="ada")
    last_seen(0, name="bob")
    sweep_and_look()
    assert (Bot.objects.get(name="ada").status, the_one().cause) == ("down", Cause.STUCK)
    make_older(lease, 4)
    sweep_and_look()
    assert lease.job.claimed_by is None
    assert (the_one().cause, the_one().severity) == (Cause.STUCK, Severity.CRITICAL)


def test_bots_whose_jobs_expired_too_often_are_one_incident(ada, bob, told):
    put_in_quarantine(ada, bob, reason="3 jobs that others then did expired under it within 1 h: 1, 2, 3")
    sweep_and_look()
    incident = the_one(Cause.QUARANTINED)
    assert incident.title == "2 bots are in quarantine: ada, bob"
    assert re.search(r"ada: probed since 20\S+ \S+ UTC: 3 jobs that others then did expired under it", incident.reason)
    assert next(moment for cause, moment, _, _ in told if cause == "quarantined") == "opened"


def test_a_cleared_quarantine_resolves_it(ada, olga):
    put_in_quarantine(ada)
    look()
    lifecycle.clear_quarantine(Bot.objects.all(), by=By.operator(olga))
    look()
    minutes_pass(3)
    assert look().resolved == 1


def test_a_paused_bot_in_quarantine_needs_nobody(ada):
    put_in_quarantine(ada)
    Bot.objects.update(paused=True)
    assert look().opened == 0
