"""Calls of a bot's instance: hello, goodbye and its own heartbeat, and what operators want of it in every answer."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bots import roster
from bots.models import AuditEntry, Bot
from jobs import lifecycle
from jobs.lifecycle import By
from jobs.sweep.run import sweep
from jobs.turns import idle
from tests.api.calls import refused, send
from tests.cast import bot_named, enqueue_one, take_one
from tests.race import PATIENCE, racers

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


# --- Slots ------------------------------------------------------------------------------------------------------------

SLOTS = {"all": 4, "free": 1, "lost": 2}


@pytest.mark.parametrize("path", ["/claim", "/exchange", "/heartbeat", "/hello"])
def test_slots_are_kept_with_the_instance(client: Client, ada: Bot, ada_token: str, path: str) -> None:
    lifecycle.hello(ada, instance="first")
    body = {"slots": SLOTS} | ({"instance": "first"} if path == "/hello" else {})
    assert send(client, ada_token, "POST", path, body, **FIRST).status_code == 200
    assert list(ada.instances.values_list("slots", "slots_lost")) == [(4, 2)]
    # A call without them changes nothing.
    assert send(client, ada_token, "POST", "/claim", {}, **FIRST).status_code == 200
    assert list(ada.instances.values_list("slots", "slots_lost")) == [(4, 2)]


@pytest.mark.parametrize(
    "slots",
    [{"all": 1, "free": 1, "lost": 1}, {"all": -1, "free": 0, "lost": 0}, {"all": 1}, 4, SLOTS | {"busy": 1}],
)
@pytest.mark.parametrize("path", ["/claim", "/exchange"])
def test_slots_that_cannot_be_are_refused(client: Client, ada_token: str, slots: Any, path: str) -> None:
    assert "slots" in refused(send(client, ada_token, "POST", path, {"slots": slots}), 422, "invalid")["detail"]


# --- Pauses -----------------------------------------------------------------------------------------------------------


def soon(seconds: float) -> str:
    return (timezone.now() + timedelta(seconds=seconds)).isoformat()


def claimed(client: Client, token: str, instance: str) -> tuple[int, bool]:
    answer = send(client, token, "POST", "/claim", {}, **{"Bot-Instance": instance}).json()
    return len(answer["jobs"]), answer["paused"]


def test_an_instance_is_paused_with_a_reason_and_the_others_go_on(
    client: Client, ada: Bot, ada_token: str, olga_key: str
) -> None:
    for name in ("first", "second"):
        lifecycle.hello(ada, instance=name, identity=name)
    enqueue_one()
    enqueue_one()
    body = {"instance": "first", "reason": "node-7 gets a new disk", "until": soon(3600)}
    answer = send(client, olga_key, "POST", f"/bots/{ada.pk}/pause", body)
    assert answer.json()["message"] == "Instance first of bot ada gets no new jobs."
    assert "before" in send(client, olga_key, "POST", f"/bots/{ada.pk}/pause", body).json()["message"]
    assert (claimed(client, ada_token, "first"), claimed(client, ada_token, "second")) == ((0, True), (1, False))
    shown = send(client, olga_key, "GET", f"/bots/{ada.pk}").json()["instances"]
    assert {i["name"]: (i["paused"], i["pause_reason"]) for i in shown} == {
        "first": (True, "node-7 gets a new disk"), "second": (False, ""),
    }  # fmt: skip
    entry = AuditEntry.objects.get(verb="pause")
    assert (entry.reason, entry.after["instance"], entry.after["paused"]) == (body["reason"], "first", True)
    send(client, olga_key, "POST", f"/bots/{ada.pk}/resume", {"instance": "first"})
    assert claimed(client, ada_token, "first") == (1, False)


def test_a_pause_of_a_bot_ends_at_its_moment(client: Client, ada: Bot, ada_token: str, olga_key: str) -> None:
    enqueue_one()
    body = {"until": soon(3600), "reason": "deploy"}
    assert send(client, olga_key, "POST", f"/bots/{ada.pk}/pause", body).status_code == 200
    shown = send(client, olga_key, "GET", f"/bots/{ada.pk}").json()
    assert (shown["paused"], shown["pause_reason"], shown["paused_until"] is not None) == (True, "deploy", True)
    assert claimed(client, ada_token, "") == (0, True)
    Bot.objects.update(paused_until=timezone.now() - timedelta(seconds=1))
    assert claimed(client, ada_token, "") == (1, False)
    sweep()
    ada.refresh_from_db()
    assert (ada.paused, ada.paused_until, ada.pause_reason) == (False, None, "")


@pytest.mark.parametrize("verb", ["pause", "resume", "restart"])
def test_an_instance_that_does_not_run_is_not_found(client: Client, ada: Bot, olga_key: str, verb: str) -> None:
    lifecycle.hello(ada, instance="gone")
    lifecycle.goodbye(ada, "gone")
    for name in ("gone", "never there"):
        answer = send(client, olga_key, "POST", f"/bots/{ada.pk}/{verb}", {"instance": name})
        assert name in refused(answer, 404, "not_found")["detail"]
    assert not AuditEntry.objects.filter(verb=verb).exists()


@pytest.mark.parametrize("until", ["tomorrow", 1_800_000_000, "2026-11-05T09:00:00", True])
def test_a_moment_needs_its_form_and_offset(client: Client, ada: Bot, olga_key: str, until: Any) -> None:
    answer = send(client, olga_key, "POST", f"/bots/{ada.pk}/pause", {"until": until})
    assert "until" in refused(answer, 422, "invalid")["detail"]


def test_one_instance_is_restarted(client: Client, ada: Bot, ada_token: str, olga_key: str) -> None:
    jobs = {}
    for name in ("first", "second"):
        lifecycle.hello(ada, instance=name, identity=name)
        jobs[name] = enqueue_one().pk
        assert claimed(client, ada_token, name) == (1, False)
    answer = send(client, olga_key, "POST", f"/bots/{ada.pk}/restart", {"instance": "first"}).json()
    assert answer["released"] == [jobs["first"]]
    assert [lifecycle.orders(ada, name)["restart"] for name in ("first", "second")] == [True, False]


# --- Drain ------------------------------------------------------------------------------------------------------------


def test_whether_a_bot_is_idle_is_asked_with_patience(
    client: Client, ada: Bot, olga_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert send(client, olga_key, "GET", f"/bots/{ada.pk}?wait=idle").json()["status"] == "idle"
    assert "wait" in refused(send(client, olga_key, "GET", f"/bots/{ada.pk}?wait=3"), 422, "invalid")["detail"]
    refused(send(client, olga_key, "GET", "/bots/999999?wait=idle"), 404, "not_found")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("in_time", [True, False])
def test_a_call_that_waits_is_answered_when_the_bot_is_idle_or_the_time_is_over(
    ada: Bot, monkeypatch: pytest.MonkeyPatch, in_time: bool
) -> None:
    lease = take_one(ada)
    monkeypatch.setattr(idle, "EVERY", 0.01)
    monkeypatch.setattr(idle, "LONGEST", 20.0 if in_time else 0.05)
    with racers() as run:
        answered = run.go(lambda: idle.wait(ada.pk))
        if in_time:
            assert not answered.done()
            lease.complete()
        answered.result(PATIENCE)
    assert Bot.objects.get(pk=ada.pk).status == ("idle" if in_time else "busy")


@pytest.mark.django_db(transaction=True)
def test_a_bot_that_is_down_is_waited_for_while_it_holds_a_job(ada: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = take_one(ada)
    Bot.objects.filter(pk=ada.pk).update(status="down")
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        lease.complete()

    monkeypatch.setattr(idle.time, "sleep", pause)
    idle.wait(ada.pk)
    assert pauses == [idle.EVERY]
