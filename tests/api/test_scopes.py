"""What a key may do: its scope is checked at every call, beside its user's permissions."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from bots import roster
from bots.acts import READ, SCOPES
from jobs.models import Job
from tests import lasting
from tests.api import places as of_calls
from tests.api.calls import CALLS, Call, refused, rows, send
from tests.cast import enqueue_one

pytestmark = pytest.mark.django_db
lasting_rows, ada, olga, places = lasting.lasting_rows, lasting.ada, lasting.olga, of_calls.places

PEOPLES = [call for call in CALLS if call.needs]
#: The scope of each call that changes something, by the end of its path.
NAMED = {
    "/throttle": "pause",
    "/jobs": "enqueue",
    "/jobs/bulk": "enqueue",
    "/bots": "register",
    "/schedules/preview": "change",
}


#: Of calls whose method says which.
METHODS = {"PUT": "change", "DELETE": "delete", "PATCH": "edit"}


def scope_of(call: Call) -> str:
    if call.method in METHODS:
        return METHODS[call.method]
    return READ if call.method == "GET" else NAMED.get(call.path, call.path.rpartition("/")[2])


def test_every_scope_is_that_of_a_call_and_every_call_has_one() -> None:
    assert {scope_of(call) for call in PEOPLES} == set(SCOPES)


@pytest.mark.parametrize("call", PEOPLES, ids=str)
def test_a_key_without_the_scope_of_a_call_is_refused_by_its_name(
    client: Client,
    olga: User,
    places: dict,
    call: Call,
) -> None:
    scope, path = scope_of(call), call.path.format(**places[call.about])
    others = [name for name in SCOPES if name != scope]
    _, key = roster.create_key(olga, verbs=others)
    before = rows()
    assert f"the scope {scope}" in refused(send(client, key, call.method, path, call.body), 403, "forbidden")["detail"]
    assert rows() == before
    _, key = roster.create_key(olga, verbs=[scope])
    assert send(client, key, call.method, path, call.body).status_code == call.status


@pytest.mark.parametrize("call", PEOPLES, ids=str)
def test_a_read_only_key_reads_and_changes_nothing(
    client: Client,
    olga: User,
    places: dict,
    call: Call,
) -> None:
    _, key = roster.create_key(olga, read_only=True)
    before = rows()
    answer = send(client, key, call.method, call.path.format(**places[call.about]), call.body)
    if call.method == "GET":
        assert answer.status_code == 200
    else:
        assert "read-only" in refused(answer, 403, "forbidden")["detail"]
        assert rows() == before


@pytest.mark.parametrize("call", PEOPLES, ids=str)
def test_a_key_for_other_kinds_gets_at_nothing_of_this_one(
    client: Client,
    olga: User,
    places: dict,
    call: Call,
) -> None:
    _, key = roster.create_key(olga, kinds=["mail"])
    before = rows()
    answer = send(client, key, call.method, call.path.format(**places[call.about]), call.body)
    if call.path in ("/jobs", "/schedules", "/error-groups") and call.method == "GET":
        assert (answer.status_code, answer.json()[call.path[1:].replace("-", "_")]) == (200, [])
    elif call.path == "/scale":
        assert answer.json()["kinds"] == [{"kind": "mail", "jobs": 0, "due": 0, "held": 0}]
    else:
        assert "mail" in refused(answer, 403, "forbidden")["detail"]
    assert rows() == before


def test_a_key_for_some_kinds_sees_and_adds_jobs_of_these(client: Client, olga: User) -> None:
    mine, other = [enqueue_one("letter"), enqueue_one("parcel")], enqueue_one("crate")
    _, key = roster.create_key(olga, kinds=["letter", "parcel"])
    assert {job["id"] for job in send(client, key, "GET", "/jobs").json()["jobs"]} == {job.pk for job in mine}
    assert len(send(client, key, "GET", "/jobs?kind=letter").json()["jobs"]) == 1
    refused(send(client, key, "GET", "/jobs?kind=crate"), 403, "forbidden")
    refused(send(client, key, "GET", f"/jobs/{other.pk}"), 403, "forbidden")
    assert send(client, key, "POST", "/jobs", {"kind": "letter"}).status_code == 201
    assert send(client, key, "POST", f"/jobs/{mine[0].pk}/cancel", {}).status_code == 200
    many = {"jobs": [{"kind": "letter"}, {"kind": "crate"}]}
    refused(send(client, key, "POST", "/jobs/bulk", many), 403, "forbidden")
    assert Job.objects.filter(kind__in=["letter", "parcel", "crate"]).count() == 4


def test_the_users_permissions_decide_within_the_scope(client: Client, vera: User) -> None:
    _, key = roster.create_key(vera, verbs=SCOPES)
    assert "jobs.add_job" in refused(send(client, key, "POST", "/jobs", {"kind": "sum"}), 403, "forbidden")["detail"]
