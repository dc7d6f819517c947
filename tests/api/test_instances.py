"""Calls of a bot's instance: hello, goodbye and its own heartbeat, and what operators want of it in every answer."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bots import roster
from bots.models import Bot
from jobs import lifecycle
from jobs.lifecycle import By
from tests.api.calls import refused, send
from tests.cast import bot_named, enqueue_one, take_one

pytestmark = pytest.mark.django_db
NOTHING = {"paused": False, "restart": False}
FIRST = {"Bot-Instance": "first"}


def restart(bot: Bot, olga: User) -> None:
    lifecycle.restart(Bot.objects.filter(pk=bot.pk), by=By.operator(olga))


# --- Hello ------------------------------------------------------------------------------------------------------------


def test_hello_answers_what_the_bot_may_do_and_warns_of_kinds_that_it_cannot_get(client: Client) -> None:
    enqueue_one("sum")
    carl = bot_named("carl", kinds=["sum", "print"], capacity=4)
    body = {"instance": "first", "identity": "pod-1", "host": "node-7", "pid": 12, "kinds": ["sum", "print", "mail"]}
    answer = send(client, carl.token, "POST", "/hello", body).json()  # type: ignore[attr-defined]
    warnings = answer.pop("warnings")
    about = {"bot_id": carl.pk, "name": "carl", "instance": "first", "kinds": ["sum", "print"], "capacity": 4}
    assert answer == about | {"released": []} | NOTHING
    assert warnings == [
        "Bot carl may not take jobs of kind mail. It takes print, sum.",
        "No job of kind print has ever been enqueued. Is its name right?",
    ]


def test_without_kinds_it_warns_of_those_that_the_bot_takes(client: Client) -> None:
    carl = bot_named("carl", kinds=["print"])
    answer = send(client, carl.token, "POST", "/hello", {"instance": "first"})  # type: ignore[attr-defined]
    assert answer.json()["warnings"] == ["No job of kind print has ever been enqueued. Is its name right?"]


@pytest.mark.parametrize(
    ("more", "identity"), [({}, ""), ({"alone": False}, "first"), ({"identity": ""}, ""), ({"identity": "p"}, "p")]
)
def test_alone_is_an_identity(client: Client, ada: Bot, ada_token: str, more: dict[str, Any], identity: str) -> None:
    assert send(client, ada_token, "POST", "/hello", {"instance": "first", **more}).status_code == 200
    assert ada.instances.get().identity == identity


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"identity": "p", "alone": False}, "not both"),
        ({"identity": "p" * 101}, "identity"),
        ({"identity": "a\nb"}, "identity"),
        ({"pid": -1}, "pid"),
        ({"host": 7}, "host"),
        ({"kinds": ["a b"]}, "kinds[0]"),
    ],
)
def test_a_bad_hello_names_the_field(
    client: Client, ada: Bot, ada_token: str, body: dict[str, Any], field: str
) -> None:
    answer = send(client, ada_token, "POST", "/hello", {"instance": "first", **body})
    assert field in refused(answer, 422, "invalid")["detail"]
    assert not ada.instances.exists()


# --- Goodbye ----------------------------------------------------------------------------------------------------------


def test_goodbye_names_what_it_released_and_refuses_what_comes_later(client: Client, ada: Bot, ada_token: str) -> None:
    send(client, ada_token, "POST", "/hello", {"instance": "first"})
    job = enqueue_one()
    claimed = send(client, ada_token, "POST", "/claim", {}, **FIRST).json()
    assert [given["id"] for given in claimed["jobs"]] == [job.pk]
    answer = send(client, ada_token, "POST", "/goodbye", {"instance": "first"}, **FIRST)
    assert (answer.status_code, answer.json()) == (200, {"instance": "first", "released": [job.pk]} | NOTHING)
    for path, body in (("/claim", {}), ("/exchange", {"claim": {}}), ("/exchange", {}), ("/heartbeat", {})):
        problem = refused(send(client, ada_token, "POST", path, body, **FIRST), 409, "instance_replaced")
        assert "goodbye" in problem["detail"]
    late = send(client, ada_token, "POST", f"/jobs/{job.pk}/complete", {"attempt": 1}, **FIRST)
    refused(late, 409, "lease_lost")


def test_goodbye_needs_its_instance(client: Client, ada_token: str) -> None:
    assert "instance" in refused(send(client, ada_token, "POST", "/goodbye", {}), 422, "invalid")["detail"]


# --- The heartbeat of an instance -------------------------------------------------------------------------------------


def test_a_heartbeat_names_the_leases_that_are_lost_and_those_that_were_cancelled(
    client: Client, ada: Bot, bob: Bot, ada_token: str, olga: User
) -> None:
    kept, released, cancelled, done = (take_one(ada) for _ in range(4))
    other = take_one(bob)
    by = By.operator(olga)
    lifecycle.release([released.id], by=by)
    lifecycle.cancel([cancelled.id], by=by)
    done.complete()
    holds = [[lease.id, lease.attempt] for lease in (kept, released, cancelled, done, other)]
    answer = send(client, ada_token, "POST", "/heartbeat", {"holds": [*holds, [kept.id, 7], [10**9, 1]]})
    lost = [*holds[1:], [kept.id, 7], [10**9, 1]]
    assert answer.json() == {"lost": lost, "cancel": [[cancelled.id, 1]]} | NOTHING


def test_a_heartbeat_with_what_it_holds_writes_nothing_for_a_job(client: Client, ada: Bot, ada_token: str) -> None:
    leases = [take_one(ada) for _ in range(3)]
    before = [lease.job.heartbeat_at for lease in leases]
    holds = [[lease.id, lease.attempt] for lease in leases]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert send(client, ada_token, "POST", "/heartbeat", {"holds": holds}).json()["lost"] == []
    assert not [query["sql"] for query in queries if "UPDATE" in query["sql"]]
    assert [lease.job.heartbeat_at for lease in leases] == before


@pytest.mark.parametrize("holds", [[[1]], [["1", 1]], [[0, 1]], 3])
def test_a_heartbeat_with_leases_of_another_form_is_refused(client: Client, ada_token: str, holds: Any) -> None:
    problem = refused(send(client, ada_token, "POST", "/heartbeat", {"holds": holds}), 422, "invalid")
    assert "holds" in problem["detail"]


# --- What operators want, in every answer -----------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["start", "heartbeat", "complete", "fail", "release"])
@pytest.mark.parametrize("wanted", ["restart", "paused"])
def test_each_report_of_one_job_is_answered_with_what_operators_want(
    client: Client, ada: Bot, ada_token: str, olga: User, verb: str, wanted: str
) -> None:
    lifecycle.hello(ada, instance="first")
    lost = take_one(ada)
    restart(ada, olga) if wanted == "restart" else roster.pause(Bot.objects.filter(pk=ada.pk))
    held = None if wanted == "restart" else lost
    expected = NOTHING | {wanted: True}
    more = {"error": "x"} if verb == "fail" else {}
    if held is not None:
        answer = send(client, ada_token, "POST", f"/jobs/{held.id}/{verb}", {"attempt": 1, **more}, **FIRST)
        assert answer.status_code == 200
        assert {name: answer.json()[name] for name in expected} == expected
    answer = send(client, ada_token, "POST", f"/jobs/{lost.id}/{verb}", {"attempt": 9, **more}, **FIRST)
    problem = refused(answer, 409, "lease_lost")
    assert {name: problem[name] for name in expected} == expected
    answer = send(client, ada_token, "POST", f"/jobs/{lost.id}/{verb}", {"attempt": "x"}, **FIRST)
    problem = refused(answer, 422, "invalid")
    assert {name: problem[name] for name in expected} == expected


@pytest.mark.parametrize("path", ["/claim", "/exchange", "/heartbeat", "/hello", "/goodbye"])
def test_a_refused_body_is_answered_with_what_operators_want(
    client: Client, ada: Bot, ada_token: str, olga: User, path: str
) -> None:
    lifecycle.hello(ada, instance="first")
    restart(ada, olga)
    problem = refused(send(client, ada_token, "POST", path, {"unknown": 1}, **FIRST), 422, "invalid")
    assert (problem["paused"], problem["restart"]) == (False, True)


def test_a_replaced_instance_is_answered_with_them_too(client: Client, ada: Bot, ada_token: str) -> None:
    for name in ("first", "second"):
        lifecycle.hello(ada, instance=name)
    roster.pause(Bot.objects.filter(pk=ada.pk))
    problem = refused(send(client, ada_token, "POST", "/claim", {}, **FIRST), 409, "instance_replaced")
    assert (problem["paused"], problem["restart"]) == (True, False)


def test_a_refused_call_of_an_operator_has_no_such_members(client: Client, olga_key: str) -> None:
    assert "restart" not in refused(send(client, olga_key, "POST", "/jobs", {"kind": 1}), 422, "invalid")


def test_a_claim_of_an_instance_that_must_restart_is_answered_at_once(
    client: Client, ada: Bot, ada_token: str, olga: User
) -> None:
    lifecycle.hello(ada, instance="first")
    restart(ada, olga)
    job = enqueue_one()
    for _ in range(2):
        answer = send(client, ada_token, "POST", "/claim", {"wait": 30}, **FIRST).json()
        assert answer == {"jobs": [], "paused": False, "restart": True}
    job.refresh_from_db()
    assert job.attempt == 0


# --- What operators see -----------------------------------------------------------------------------------------------


def test_a_bot_is_shown_with_its_instances(client: Client, ada: Bot, olga_key: str) -> None:
    lifecycle.hello(ada, instance="first", identity="pod-1", host="node-7", pid=12, version="2")
    lifecycle.claim(ada, instance="first", kinds=["sum"])
    lifecycle.hello(ada, instance="second", identity="pod-1")
    second, first = send(client, olga_key, "GET", f"/bots/{ada.pk}").json()["instances"]
    known = {"name": "first", "identity": "pod-1", "host": "node-7", "pid": 12, "version": "2", "asked_kinds": ["sum"]}
    assert {name: first[name] for name in known} == known
    assert (first["replaced_by"], first["ended_at"] is not None, first["restart"]) == ("second", True, False)
    assert (second["name"], second["replaced_by"], second["ended_at"]) == ("second", "", None)
