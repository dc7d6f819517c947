"""A bot's whole turn in one call: the same as each call by itself, read by the entry and by Django alike."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bots.models import Bot
from bots.states import BotStatus, HealthStatus
from jobs import lifecycle
from jobs.api import turn as api
from jobs.lifecycle import SWEEP, By
from jobs.models import Job, JobEvent, JobKind
from jobs.states import JobStatus, Verb
from jobs.sweep import run
from tests.api.calls import refused, send
from tests.cast import Lease, bot_named, enqueue_one, make_older, take_one

pytestmark = pytest.mark.django_db

Turn = Callable[..., HttpResponse]


@pytest.fixture(params=["entry", "django"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every test here that uses it runs with bodies that the entry reads, and with bodies that Django reads."""
    if request.param == "django":
        monkeypatch.setattr(api, "read", lambda environ: None)
    return str(request.param)


@pytest.fixture
def turn(client: Client, way: str) -> Turn:
    """`turn(bot, completed=…, claim=…)`: one exchange."""

    def make(bot: Bot, instance: str = "", **body: Any) -> HttpResponse:
        headers = {"Bot-Instance": instance} if instance else {}
        return send(client, str(bot.token), "POST", "/exchange", body, **headers)  # type: ignore[attr-defined]

    return make


def said(lease: Lease, **more: Any) -> dict[str, Any]:
    return {"id": lease.id, "attempt": lease.attempt, **more}


def test_a_turn_reports_and_claims(turn: Turn, ada: Bot) -> None:
    done, running = take_one(ada), take_one(ada)
    next_job = enqueue_one(payload={"n": 3}, priority=4, key="k")
    answer = turn(
        ada, completed=[said(done, result=[1])], heartbeats=[said(running, progress=40, note="p. 4")], claim={}
    )
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert sorted(body["accepted"]) == sorted([done.id, running.id])
    assert (body["rejected"], body["cancel"], body["paused"], body["restart"]) == ([], [], False, False)
    (job,) = body["jobs"]
    assert (job["id"], job["kind"], job["attempt"], job["max_attempts"]) == (next_job.pk, "sum", 1, 3)
    assert (job["payload"], job["priority"], job["key"]) == ({"n": 3}, 4, "k")
    assert (done.job.status, done.job.result, done.job.finished_by, done.job.claimed_by) == (
        "succeeded",
        [1],
        ada,
        None,
    )
    assert (running.job.progress, running.job.progress_note) == (40, "p. 4")
    held = Job.objects.get(pk=next_job.pk)
    assert (held.status, held.claimed_by, held.started_at) == ("processing", ada, held.claimed_at)


def test_the_answer_has_the_fields_of_a_claim(turn: Turn, client: Client, ada: Bot, ada_token: str) -> None:
    enqueue_one()
    enqueue_one()
    by_turn = turn(ada, claim={}).json()
    by_claim = send(client, ada_token, "POST", "/claim", {}).json()
    assert set(by_turn["jobs"][0]) == set(by_claim["jobs"][0])
    assert set(by_turn) - set(by_claim) == {"accepted", "rejected", "cancel"}


def test_without_a_claim_nothing_is_claimed(turn: Turn, ada: Bot) -> None:
    enqueue_one()
    assert turn(ada).json()["jobs"] == []
    assert Job.objects.pending().count() == 1


def test_failures_go_with_the_others(turn: Turn, ada: Bot) -> None:
    good, bad, hopeless = (take_one(ada) for _ in range(3))
    body = turn(
        ada, completed=[said(good)], failed=[said(bad, error="x"), said(hopeless, error="y", retry=False)]
    ).json()
    assert sorted(body["accepted"]) == sorted([good.id, bad.id, hopeless.id])
    assert [lease.job.status for lease in (good, bad, hopeless)] == ["succeeded", "pending", "failed"]


def test_a_failure_leaves_what_a_call_of_its_own_leaves(turn: Turn, ada: Bot, bob: Bot) -> None:
    for kind in ("sum", "divide"):
        enqueue_one(kind, max_attempts=2)
    JobKind.objects.update(backoff=timedelta(minutes=4))
    for status in ("pending", "failed"):
        Job.objects.update(run_at=Now())
        (by_turn,), (by_call,) = lifecycle.claim(ada, kinds=["sum"]), lifecycle.claim(bob, kinds=["divide"])
        turn(ada, failed=[{"id": by_turn.id, "attempt": by_turn.attempt, "error": "no disk"}])
        Lease(bob, by_call.id, by_call.attempt).fail("no disk")
        one, other = Job.objects.get(pk=by_turn.id), Job.objects.get(pk=by_call.id)
        assert (one.status, one.error, one.attempt) == (status, "no disk", by_turn.attempt)
        mine, theirs = JobEvent.objects.filter(job=one).values()[0], JobEvent.objects.filter(job=other).values()[0]
        assert (mine["by"], mine["bot_id"], theirs["by"], theirs["bot_id"]) == ("ada", ada.pk, "bob", bob.pk)
        for name in ("verb", "from_status", "to_status", "actor", "reason", "attempt"):
            assert mine[name] == theirs[name]
        assert set(mine["detail"]) == set(theirs["detail"]) == {"error", "claimed_at", "started_at", "heartbeat_at"}
        for name in ("status", "error", "attempt", "uncounted", "claimed_by_id", "deadline_at", "progress", "instance"):
            assert getattr(one, name) == getattr(other, name)
        for name in ("claimed_at", "started_at", "heartbeat_at", "finished_at"):
            assert (getattr(one, name) is None) == (getattr(other, name) is None)
        if status == "pending":
            assert timedelta(minutes=2.9) < one.run_at - mine["at"] < timedelta(minutes=5.1)
    ada.refresh_from_db()
    assert ada.status == BotStatus.IDLE


def test_a_report_that_comes_too_late_is_rejected_and_kept_and_the_others_hold(
    turn: Turn, ada: Bot, olga: User
) -> None:
    lost, held = take_one(ada), take_one(ada)
    lifecycle.release([lost.id], by=By.operator(olga), reason="ada hangs")
    body = turn(ada, completed=[said(lost, result=5), said(held, result=6)], claim={}).json()
    assert body["accepted"] == [held.id]
    (rejected,) = body["rejected"]
    assert (rejected["id"], rejected["attempt"], rejected["code"]) == (lost.id, 1, "lease_lost")
    assert (rejected["ended_by"], rejected["reason"], rejected["verb"]) == ("operator olga", "ada hangs", "release")
    assert "operator olga" in rejected["detail"]
    assert JobEvent.objects.get(job=lost.id, verb=Verb.LATE).detail == {"outcome": "complete", "result": 5}
    # Given back, it is the next that is due.
    assert [job["id"] for job in body["jobs"]] == [lost.id]


@pytest.mark.parametrize("kind_of_report", ["completed", "failed", "heartbeats"])
def test_a_job_that_was_cancelled_is_named(turn: Turn, ada: Bot, olga: User, kind_of_report: str) -> None:
    lease = take_one(ada)
    lifecycle.cancel([lease.id], by=By.operator(olga))
    report = said(lease, error="x") if kind_of_report == "failed" else said(lease)
    body = turn(ada, **{kind_of_report: [report]}).json()
    assert (body["accepted"], body["cancel"]) == ([], [lease.id])
    assert lease.job.status == JobStatus.CANCELLED


@pytest.mark.parametrize("kind_of_report", ["completed", "failed", "heartbeats"])
def test_the_next_holder_is_not_disturbed(turn: Turn, ada: Bot, bob: Bot, kind_of_report: str) -> None:
    lease = take_one(ada)
    lifecycle.expire([lease.id], by=SWEEP, reasons={lease.id: "silent"})
    (again,) = lifecycle.claim(bob)
    before = Job.objects.filter(pk=lease.id).values().get()
    report = said(lease, error="x") if kind_of_report == "failed" else said(lease)
    body = turn(ada, **{kind_of_report: [report]}).json()
    assert [r["code"] for r in body["rejected"]] == ["lease_lost"]
    assert Job.objects.filter(pk=lease.id).values().get() == before
    assert again.id == lease.id


def test_a_job_that_is_not_there_is_not_found(turn: Turn, ada: Bot) -> None:
    body = turn(ada, completed=[{"id": 999_999_999, "attempt": 1}]).json()
    assert [r["code"] for r in body["rejected"]] == ["not_found"]


def test_saying_it_twice_is_as_good_as_once(turn: Turn, ada: Bot) -> None:
    done, bad = take_one(ada), take_one(ada)
    body = {"completed": [said(done, result=1)], "failed": [said(bad, error="x")]}
    assert turn(ada, **body).json()["accepted"] == turn(ada, **body).json()["accepted"] == [done.id, bad.id]
    assert done.job.attempt == 1
    assert not JobEvent.objects.filter(verb=Verb.LATE).exists()


def test_a_job_named_twice_is_refused_and_nothing_happens(turn: Turn, ada: Bot) -> None:
    lease = take_one(ada)
    answer = turn(ada, completed=[said(lease)], heartbeats=[said(lease)])
    assert refused(answer, 422, "invalid")["detail"].startswith("heartbeats[0].id:")
    assert lease.job.status == JobStatus.PROCESSING


def test_a_bot_that_is_paused_reports_and_gets_nothing(turn: Turn, ada: Bot) -> None:
    lease = take_one(ada)
    enqueue_one()
    Bot.objects.filter(pk=ada.pk).update(paused=True)
    body = turn(ada, completed=[said(lease)], claim={"wait": 30}).json()
    assert (body["accepted"], body["jobs"], body["paused"]) == ([lease.id], [], True)


def test_what_is_completed_makes_room_under_a_capacity(turn: Turn, way: str) -> None:
    eve = bot_named("eve", capacity=2)
    one, two = take_one(eve), take_one(eve)
    for _ in range(5):
        enqueue_one()
    assert turn(eve, claim={"limit": 9}).json()["jobs"] == []
    assert len(turn(eve, completed=[said(one)], claim={"limit": 9}).json()["jobs"]) == 1
    assert len(turn(eve, completed=[said(two)], heartbeats=[], claim={"limit": 9}).json()["jobs"]) == 1


def test_it_gets_only_the_kinds_it_takes_and_none_of_a_paused_kind(turn: Turn, way: str) -> None:
    eve = bot_named("eve", kinds=["sum", "divide", "halve"])
    for kind in ("multiply", "sum", "divide", "halve", "sum"):
        enqueue_one(kind)
    JobKind.objects.filter(name="halve").update(paused=True)
    assert [j["kind"] for j in turn(eve, claim={"limit": 9, "kinds": ["divide", "multiply"]}).json()["jobs"]] == [
        "divide"
    ]
    assert [j["kind"] for j in turn(eve, claim={"limit": 9}).json()["jobs"]] == ["sum", "sum"]
    assert turn(eve, claim={"limit": 9}).json()["jobs"] == []


def test_several_kinds_are_merged_by_priority_and_age(turn: Turn, way: str) -> None:
    eve = bot_named("eve", kinds=["sum", "divide"])
    made = [enqueue_one(kind, priority=priority) for kind in ("sum", "divide") for priority in (0, 5, 0)]
    for age, job in zip((1, 6, 5, 4, 3, 2), made, strict=True):
        make_older(job, age)
    wanted = sorted(made, key=lambda j: (-j.priority, Job.objects.get(pk=j.pk).run_at))
    got = [job["id"] for _ in range(3) for job in turn(eve, claim={"limit": 2}).json()["jobs"]]
    assert got == [job.pk for job in wanted]


def test_a_process_that_was_replaced_is_told_and_nothing_of_its_turn_is_done(turn: Turn, ada: Bot) -> None:
    lease = take_one(ada)
    lifecycle.hello(ada, instance="second", alone=False)
    Bot.objects.filter(pk=ada.pk).update(instance="second")
    enqueue_one()
    answer = turn(ada, "first", completed=[said(lease)], claim={})
    assert "second" in refused(answer, 409, "instance_replaced")["detail"]
    assert lease.job.status == JobStatus.PROCESSING
    assert turn(ada, "first", completed=[said(lease)]).json()["accepted"] == [lease.id]


def test_a_bot_that_was_stuck_is_well_again_with_its_report(turn: Turn, ada: Bot) -> None:
    lease = take_one(ada)
    make_older(lease, 3)
    run.sweep()
    assert Bot.objects.get(pk=ada.pk).health_status == HealthStatus.POTENTIALLY_STUCK
    assert turn(ada, completed=[said(lease)]).json()["accepted"] == [lease.id]
    bot = Bot.objects.get(pk=ada.pk)
    assert (bot.status, bot.health_status, bot.health_reason, bot.stuck_job) == ("idle", "normal", "", None)


@pytest.mark.parametrize("verb", ["completed", "failed", "released", "heartbeats"])
def test_a_report_on_another_job_leaves_the_bot_stuck_and_its_row_as_it_is(turn: Turn, ada: Bot, verb: str) -> None:
    stuck, other = take_one(ada), take_one(ada)
    make_older(stuck, 3)
    run.sweep()
    before = Bot.objects.values().get(pk=ada.pk)
    assert (before["health_status"], before["stuck_job_id"]) == (HealthStatus.POTENTIALLY_STUCK, stuck.id)
    report = said(other) | ({"error": "it broke"} if verb == "failed" else {})
    assert turn(ada, **{verb: [report]}).json()["accepted"] == [other.id]
    assert Bot.objects.values().get(pk=ada.pk) == before
    assert turn(ada, heartbeats=[said(stuck)]).json()["accepted"] == [stuck.id]
    after = Bot.objects.values().get(pk=ada.pk)
    assert (after["health_status"], after["stuck_job_id"]) == (HealthStatus.NORMAL, None)


def test_a_bot_is_busy_while_it_holds_something_and_idle_when_not(turn: Turn, ada: Bot) -> None:
    enqueue_one()
    (job,) = turn(ada, claim={}).json()["jobs"]
    assert Bot.objects.get(pk=ada.pk).status == BotStatus.BUSY
    turn(ada, completed=[{"id": job["id"], "attempt": 1}], claim={})
    bot = Bot.objects.get(pk=ada.pk)
    assert (bot.status, bot.last_seen_at is not None) == (BotStatus.IDLE, True)


def test_an_operator_who_asked_for_a_restart_is_heard(turn: Turn, ada: Bot, olga: User) -> None:
    lifecycle.restart(Bot.objects.filter(pk=ada.pk), by=By.operator(olga))
    assert turn(ada, claim={}).json()["restart"] is True
    assert turn(ada, claim={}).json()["restart"] is False


def test_jobs_may_be_claimed_without_being_started(turn: Turn, ada: Bot) -> None:
    enqueue_one()
    turn(ada, claim={"start": False})
    assert (Job.objects.get().status, Job.objects.get().started_at) == (JobStatus.CLAIMED, None)


def test_what_json_can_say_a_result_can_be(turn: Turn, ada: Bot) -> None:
    results = [None, 0, 1.5, "ü\N{SNOWMAN}[", "}{", [], {}, {"a": [{"b": None}]}, 10**40, True, "x" * 1000]
    leases = [take_one(ada) for _ in results]
    turn(ada, completed=[said(lease, result=r) for lease, r in zip(leases, results, strict=True)])
    assert [lease.job.result for lease in leases] == results


def test_a_plain_turn_is_one_statement(client: Client, ada: Bot, ada_token: str) -> None:
    done, bad, running = take_one(ada), take_one(ada), take_one(ada)
    enqueue_one()
    send(client, ada_token, "POST", "/exchange", {})
    seen: list[str] = []

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        seen.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch), CaptureQueriesContext(connection) as queries:
        body = {
            "completed": [said(done)], "failed": [said(bad, error="x")], "heartbeats": [said(running)], "claim": {},
        }  # fmt: skip
        answer = send(client, ada_token, "POST", "/exchange", body)
    assert len(answer.json()["jobs"]) == 1
    # The one statement goes past Django's cursor; nothing else was asked for. (A savepoint: the test's transaction.)
    assert [sql for sql in seen if "SAVEPOINT" not in sql] == []
    assert [query for query in queries if "SAVEPOINT" not in query["sql"]] == []


def test_a_revoked_token_stops_working_with_the_next_turn(turn: Turn, ada: Bot) -> None:
    assert turn(ada, claim={}).status_code == 200
    Bot.objects.filter(pk=ada.pk).update(token_digest=None)
    refused(turn(ada, claim={}), 401, "unauthorized")


def test_the_values_of_a_turn_survive_json(turn: Turn, ada: Bot) -> None:
    enqueue_one(payload={"text": '"quotes" \\ and \n'})
    answer = turn(ada, claim={})
    assert json.loads(answer.content)["jobs"][0]["payload"] == {"text": '"quotes" \\ and \n'}
