"""Kinds whose jobs wait too long."""

import re
from datetime import timedelta

import pytest

from alerts.models import Incident
from alerts.states import Cause, Severity
from bots import roster
from bots.models import Bot
from jobs import lifecycle
from jobs.lifecycle import By
from jobs.models import JobKind
from tests.alerts.passing import look, minutes_pass, the_one
from tests.cast import bot_named, enqueue_one, make_older, take_one

pytestmark = pytest.mark.django_db


def limit(minutes, kind="sum"):
    JobKind.objects.filter(name=kind).update(wait_within=None if minutes is None else timedelta(minutes=minutes))


def test_a_job_that_is_due_for_longer_than_its_kind_allows_opens_an_incident(ada, bob, told):
    job = enqueue_one()
    limit(10)
    make_older(job, 11)
    roster.pause(Bot.objects.filter(name="bob"))
    bot_named("carl", kinds=["divide"])
    assert look().opened == 1
    incident = the_one()
    assert (incident.cause, incident.about, incident.kind) == (Cause.WAITING, "sum", "sum")
    assert (incident.severity, incident.title) == (Severity.WARNING, "sum jobs wait too long")
    due = rf"Job {job.pk} has been due for 11 m( \d+ s)?, limit 10 m; 2 bots take this kind, 1 ready\."
    assert re.fullmatch(due, incident.reason)
    assert told == [("waiting", "opened", 1, incident.title)]


def test_the_reason_names_that_no_bot_takes_the_kind(db):
    make_older(enqueue_one(), 61)
    look()
    assert the_one().reason.endswith("limit 1 h; no bot takes this kind.")


def test_within_the_limit_there_is_no_incident(db):
    job = enqueue_one()
    limit(10)
    make_older(job, 9)
    assert look().opened == 0


def test_the_sites_default_counts_where_the_kind_has_no_limit(db, settings):
    make_older(enqueue_one(), 30)
    assert look().opened == 0
    settings.DEFAULT_WAIT_WITHIN = timedelta(minutes=20)
    assert look().opened == 1


@pytest.mark.parametrize("where", ["kind", "site"])
def test_nought_means_never(db, settings, where):
    job = enqueue_one()
    make_older(job, 60 * 24 * 30)
    if where == "kind":
        limit(0)
    else:
        settings.DEFAULT_WAIT_WITHIN = timedelta(0)
    assert look().opened == 0


def test_a_paused_kind_and_a_job_that_is_not_due_do_not_alarm(db):
    make_older(enqueue_one(), 90)
    JobKind.objects.update(paused=True)
    enqueue_one(kind="later", run_at=enqueue_one(kind="divide").created_at + timedelta(days=1))
    assert look().opened == 0
    assert not Incident.objects.exists()


def test_three_times_the_limit_is_critical_and_told(db, told):
    job = enqueue_one()
    limit(10)
    make_older(job, 11)
    look()
    make_older(job, 20)
    look()
    assert (the_one().severity, the_one().state) == (Severity.CRITICAL, 2)
    assert [moment for _, moment, _, _ in told] == ["opened", "worse"]


def test_a_job_that_came_back_has_waited_since_then(ada, olga):
    """It keeps its place in the queue, and so the moment from which it was due."""
    lease = take_one(ada)
    make_older(lease, 90)
    lifecycle.release([lease.id], by=By.operator(olga))
    assert look().opened == 0


def test_it_resolves_when_the_jobs_are_taken(ada, told):
    make_older(enqueue_one(), 90)
    look()
    lifecycle.claim(ada)
    look()
    minutes_pass(3)
    assert look().resolved == 1
    assert [moment for _, moment, _, _ in told] == ["opened", "resolved"]
