"""The sweep itself has not run: whoever is asked says so, and somebody opens an incident."""

import json
import re
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db.models import F
from django.urls import reverse

from alerts.incidents import reconcile, sweep_late
from alerts.models import Incident
from alerts.states import Cause, Severity
from bots.models import Bot
from jobs.models import SweepRun
from jobs.sweep.run import sweep
from tests.alerts.passing import look, minutes_pass, notes_of, the_one

pytestmark = pytest.mark.django_db


def last_sweep(minutes):
    """The last sweep finished so long ago."""
    sweep()
    by = timedelta(minutes=minutes)
    SweepRun.objects.update(started_at=F("started_at") - by, finished_at=F("finished_at") - by)


def command():
    out = StringIO()
    call_command("sweep_stuck", json=True, stdout=out)
    return json.loads(out.getvalue())


# --- How it stands --------------------------------------------------------------------------------------------


def test_a_sweep_that_ran_just_now_is_not_late(ada):
    last_sweep(4)
    assert not sweep_late.status().overdue
    assert re.search(r", 4 m( \d+ s)? ago$", str(sweep_late.status()))


def test_a_sweep_that_has_not_finished_for_too_long_is_late(settings):
    last_sweep(6)
    assert sweep_late.status().overdue
    settings.SWEEP_LATE_AFTER = timedelta(minutes=10)
    assert not sweep_late.status().overdue


def test_where_none_has_ever_run_it_is_late_when_the_first_bot_has_waited_for_one(ada):
    assert not sweep_late.status().overdue
    Bot.objects.update(created_at=F("created_at") - timedelta(minutes=6))
    assert sweep_late.status().overdue
    assert str(sweep_late.status()) == "none has ever finished"


def test_a_house_without_bots_waits_for_no_sweep(db):
    assert sweep_late.status() == sweep_late.SweepStatus(None, None)
    assert not sweep_late.status().overdue


# --- The incident ---------------------------------------------------------------------------------------------


def test_a_timer_that_is_not_the_sweeps_opens_the_incident_once(told):
    last_sweep(125)
    seen = [reconcile.check_sweep_overdue() for _ in range(3)]
    assert [one.opened for one in seen] == [1, 0, 0]
    incident = the_one()
    assert (incident.cause, incident.severity) == (Cause.UNSWEPT, Severity.CRITICAL)
    assert incident.title == "The sweep does not run"
    assert incident.reason.startswith("No sweep has finished for 2 h 5 m: last finished ")
    assert [moment for _, moment, _, _ in told] == ["opened"]


def test_while_the_sweep_runs_the_timer_opens_nothing_and_resolves_nothing(ada):
    last_sweep(1)
    assert reconcile.check_sweep_overdue().opened == 0
    last_sweep(6)
    reconcile.check_sweep_overdue()
    last_sweep(1)
    reconcile.check_sweep_overdue()
    assert (the_one().status, the_one().clear_since) == ("open", None)


def test_the_next_sweep_says_that_it_runs_again_and_the_incident_resolves(told):
    last_sweep(6)
    reconcile.check_sweep_overdue()
    command()
    # This sweep still names the gap before it; the next sees none.
    assert the_one().title == "The sweep did not run"
    command()
    assert "The sweep runs again." in notes_of(the_one())
    minutes_pass(3)
    assert command()["incidents_resolved"] == 1
    assert [moment for _, moment, _, _ in told] == ["opened", "resolved"]


def test_without_a_timer_the_next_sweep_itself_names_the_gap(told):
    last_sweep(90)
    assert command()["incidents_opened"] == 1
    assert the_one().reason.startswith("No sweep had finished for 1 h 30 m when this one began.")
    assert command()["incidents_opened"] == 0
    minutes_pass(3)
    assert command()["incidents_resolved"] == 1
    assert [moment for _, moment, _, _ in told] == ["opened", "resolved"]


def test_the_first_sweep_of_a_house_and_one_in_time_name_no_gap(ada):
    assert command()["incidents_opened"] == 0
    last_sweep(4)
    assert command()["incidents_opened"] == 0


def test_a_pass_without_a_sweep_before_it_says_nothing_of_the_sweep(db):
    look()
    assert not Incident.objects.exists()


# --- Who says so at once --------------------------------------------------------------------------------------


def test_readyz_stays_200_and_names_the_last_sweep(client):
    last_sweep(6)
    answer = client.get("/readyz")
    assert answer.status_code == 200
    first, second = answer.content.decode().split("\n")
    assert first == "ok"
    assert second.startswith("sweep late: last finished 20")
    assert re.search(r" UTC, 6 m( \d+ s)? ago$", second)


def test_a_monitor_that_asks_strictly_gets_503(client):
    last_sweep(6)
    answer = client.get("/readyz?strict=1")
    assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")
    assert answer.json()["code"] == "sweep_late"
    assert "Sweep late: last finished " in answer.json()["detail"]


def test_in_time_strict_or_not_is_the_same(client):
    last_sweep(1)
    for url in ("/readyz", "/readyz?strict=1"):
        assert (client.get(url).status_code, client.get(url).content) == (200, b"ok")


def test_home_says_so_at_once(client, olga):
    client.force_login(olga)
    last_sweep(1)
    assert "The sweep does not run" not in client.get(reverse("admin:index")).content.decode()
    last_sweep(6)
    said = client.get(reverse("admin:index")).content.decode()
    assert "The sweep does not run" in said
    assert "Last finished 20" in said
