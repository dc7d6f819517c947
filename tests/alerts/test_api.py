"""The API of incidents. Who may call what, and what it refuses, is in tests/api."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from alerts.models import Incident
from tests.alerts.passing import an_incident, sweep_and_look, the_one
from tests.api.calls import refused, send
from tests.cast import make_older, take_one

pytestmark = pytest.mark.django_db


@pytest.fixture
def ask(client, olga_key):
    return lambda path, body=None, method=None: send(
        client, olga_key, method or ("GET" if body is None else "POST"), path, body
    )


def listed(answer):
    return [row["id"] for row in answer.json()["incidents"]]


def test_a_list_of_incidents_newest_first_by_status_and_in_pages(ask):
    rows = [an_incident(about=name) for name in ("a", "b", "c")]
    Incident.objects.filter(pk=rows[0].pk).update(resolved_at=Now())
    Incident.objects.filter(pk=rows[1].pk).update(acknowledged_at=Now(), acknowledged_by="olga")
    a, b, c = (row.pk for row in rows)
    assert listed(ask("/incidents")) == [c, b, a]
    assert listed(ask("/incidents?status=open")) == [c]
    assert listed(ask("/incidents?status=acknowledged")) == [b]
    assert listed(ask("/incidents?status=resolved")) == [a]
    first = ask("/incidents?limit=2")
    assert listed(first) == [c, b]
    assert listed(ask(f"/incidents?limit=2&cursor={first.json()['next_cursor']}")) == [a]


@pytest.mark.parametrize("query", ["status=closed", "kind=sum", "limit=0", "cursor=x"])
def test_what_a_list_cannot_be_asked(ask, query):
    assert query.split("=")[0] in refused(ask(f"/incidents?{query}"), 422, "invalid")["detail"]


def test_one_incident_with_its_bots_and_its_history(ask, ada):
    lease = take_one(ada)
    make_older(lease, 3)
    sweep_and_look()
    said = ask(f"/incidents/{the_one().pk}").json()
    assert (said["status"], said["cause"], said["kind"], said["severity"]) == ("open", "stuck", "sum", "warning")
    (bot,) = said["bots"]
    assert (bot["bot_id"], bot["name"], bot["job_id"], bot["until"]) == (ada.pk, "ada", lease.id, None)
    (note,) = said["notes"]
    assert note["text"].startswith("Opened: ")
    assert said["opened_at"].endswith("Z")


def test_acknowledging_says_who_has_it_now(ask):
    incident = an_incident()
    said = ask(f"/incidents/{incident.pk}/acknowledge", {"remark": "on it"}).json()
    assert said == {
        "incident_id": incident.pk,
        "status": "acknowledged",
        "acknowledged_by": "olga",
        "message": f"Incident {incident.pk} is acknowledged.",
    }
    assert incident.notes.get(by="olga").text == "Acknowledged: on it"


def test_saying_it_twice_changes_nothing(ask):
    incident = an_incident(acknowledged_by="bert", acknowledged_at="2026-01-01T00:00Z")
    said = ask(f"/incidents/{incident.pk}/acknowledge", {}).json()
    assert said["message"] == f"Incident {incident.pk} was acknowledged before, by bert."
    assert not incident.notes.filter(by="olga").exists()


def test_what_has_resolved_cannot_be_acknowledged(ask):
    incident = an_incident()
    Incident.objects.update(resolved_at=Now() - timedelta(minutes=1))
    problem = refused(ask(f"/incidents/{incident.pk}/acknowledge", {}), 400, "not_open")
    assert problem["incident_id"] == incident.pk


@pytest.mark.parametrize("number", ["4711", "x", "0", "99999999999999999999"])
def test_an_incident_that_is_not_there(ask, number):
    refused(ask(f"/incidents/{number}"), 404, "not_found")
    refused(ask(f"/incidents/{number}/acknowledge", {}), 404, "not_found")
