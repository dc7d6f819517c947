"""A report holds for the bot that holds the job, under this attempt, now. Each of these guards stands by itself."""

from typing import Any

import pytest
from django.db.models.functions import Now
from django.http import HttpResponse
from django.test import Client

from bots.models import Bot
from jobs import lifecycle
from jobs.models import Job
from jobs.states import JobStatus
from tests.api.calls import refused, send
from tests.cast import Lease, enqueue_one, take_one
from tests.jobs.lifecycle.guarded import (
    CASES,
    IN_AN_EXCHANGE,
    KEPT,
    REPORTS,
    SITUATIONS,
    Refused,
    another,
    late,
    report,
    state,
)

pytestmark = pytest.mark.django_db


def exchange(client: Client, bot: Bot, **body: Any) -> HttpResponse:
    return send(client, str(bot.token), "POST", "/exchange", body)  # type: ignore[attr-defined]


def is_rejected(answer: HttpResponse, refusal: Refused) -> None:
    """The exchange was answered, and this report alone was rejected."""
    assert answer.status_code == 200, answer.content
    (rejected,) = answer.json()["rejected"]
    lease = refusal.lease
    assert (rejected["id"], rejected["attempt"], rejected["code"]) == (lease.id, lease.attempt, "lease_lost")


def is_kept(refusal: Refused, call: str) -> None:
    """What a bot reports of a lease it once held is kept, and nothing else is."""
    lease = refusal.lease
    kept = refusal.once_held and call in KEPT
    assert late() == ([(lease.id, lease.attempt, lease.bot.pk)] if kept else [])


@pytest.mark.parametrize(("name", "call"), CASES)
def test_a_call_that_does_not_hold_changes_nothing(client: Client, ada: Bot, bob: Bot, name: str, call: str) -> None:
    refusal = SITUATIONS[name](ada, bob)
    lease, before = refusal.lease, state()
    body = {k: v for k, v in refusal.body(call).items() if k != "id"}
    answer = send(client, str(lease.bot.token), "POST", f"/jobs/{lease.id}/{call}", body)  # type: ignore[attr-defined]
    refused(answer, 409, "lease_lost")
    assert state() == before
    is_kept(refusal, call)


@pytest.mark.parametrize(("name", "call"), REPORTS)
def test_the_one_report_of_an_exchange_that_does_not_hold_changes_nothing(
    client: Client, ada: Bot, bob: Bot, name: str, call: str
) -> None:
    refusal = SITUATIONS[name](ada, bob)
    before = state()
    answer = exchange(client, refusal.lease.bot, **{IN_AN_EXCHANGE[call]: [refusal.body(call)]})
    is_rejected(answer, refusal)
    assert answer.json()["accepted"] == []
    assert state() == before
    is_kept(refusal, call)


@pytest.mark.parametrize(("name", "call"), REPORTS)
def test_the_one_report_of_a_bot_that_is_unwell_changes_nothing_either(
    client: Client, ada: Bot, bob: Bot, name: str, call: str
) -> None:
    refusal = SITUATIONS[name](ada, bob)
    stuck = another(refusal.lease.bot)
    Bot.objects.filter(pk=refusal.lease.bot.pk).update(
        health_status="potentially_stuck", health_reason="silent", stuck_job=stuck.id
    )
    before = state()
    is_rejected(exchange(client, refusal.lease.bot, **{IN_AN_EXCHANGE[call]: [refusal.body(call)]}), refusal)
    assert state() == before
    is_kept(refusal, call)


@pytest.mark.parametrize(("name", "call"), REPORTS)
def test_among_reports_that_hold_one_that_does_not_changes_nothing(
    client: Client, ada: Bot, bob: Bot, name: str, call: str
) -> None:
    refusal = SITUATIONS[name](ada, bob)
    bot = refusal.lease.bot
    good = {each: another(bot) for each in IN_AN_EXCHANGE}
    # It stays busy, whatever of this is accepted.
    another(bot)
    apart = [lease.id for lease in good.values()]
    before = state(*apart)
    body = {name: [report(good[each], each)] for each, name in IN_AN_EXCHANGE.items()}
    body[IN_AN_EXCHANGE[call]].insert(0, refusal.body(call))
    answer = exchange(client, bot, **body)
    is_rejected(answer, refusal)
    assert sorted(answer.json()["accepted"]) == sorted(apart)
    assert [lease.job.status for lease in good.values()] == [
        JobStatus.SUCCEEDED, JobStatus.PENDING, JobStatus.PROCESSING,
    ]  # fmt: skip
    assert state(*apart) == before
    is_kept(refusal, call)


@pytest.mark.parametrize("call", [*IN_AN_EXCHANGE, None])
def test_a_process_that_was_replaced_changes_nothing_by_a_turn_with_a_claim(
    client: Client, ada: Bot, call: str | None
) -> None:
    lifecycle.hello(ada, instance="second")
    lease = take_one(ada)
    enqueue_one()
    before = state()
    body: dict[str, Any] = {"claim": {}} | ({IN_AN_EXCHANGE[call]: [report(lease, call)]} if call else {})
    token = str(ada.token)  # type: ignore[attr-defined]
    refused(send(client, token, "POST", "/exchange", body, **{"Bot-Instance": "first"}), 409, "instance_replaced")
    assert (state(), late()) == (before, [])
    # The process that replaced it may.
    answer = send(client, token, "POST", "/exchange", body, **{"Bot-Instance": "second"})
    assert len(answer.json()["jobs"]) == 1


@pytest.mark.parametrize("call", IN_AN_EXCHANGE)
def test_a_token_that_was_revoked_changes_nothing(client: Client, ada: Bot, call: str) -> None:
    lease = take_one(ada)
    enqueue_one()
    Bot.objects.filter(pk=ada.pk).update(token_digest=None)
    before = state()
    refused(exchange(client, ada, **{IN_AN_EXCHANGE[call]: [report(lease, call)], "claim": {}}), 401, "unauthorized")
    assert (state(), late()) == (before, [])


def test_a_result_of_another_bots_ended_lease_is_not_kept_and_stands_in_nobodys_way(
    client: Client, ada: Bot, bob: Bot
) -> None:
    lease = take_one(ada)
    lifecycle.release([lease.id], by=lifecycle.SWEEP, reason="silent")
    theirs = Lease(bob, lease.id, lease.attempt)
    for answer in (
        exchange(client, bob, completed=[report(theirs, "complete") | {"result": "bob's"}]).json()["rejected"][0],
        send(client, str(bob.token), "POST", f"/jobs/{lease.id}/complete", {"attempt": lease.attempt}).json(),  # type: ignore[attr-defined]
    ):
        assert (answer["ended_by"], answer["reason"]) == (None, "never held by this bot")
    assert late() == []
    exchange(client, ada, completed=[report(lease, "complete") | {"result": "ada's"}])
    assert late() == [(lease.id, lease.attempt, ada.pk)]
    lifecycle.accept([lease.id], by=lifecycle.SWEEP)
    assert (lease.job.result, lease.job.finished_by) == ("ada's", ada)


@pytest.mark.parametrize("call", ["fail", "heartbeat", "start", "release"])
def test_who_ended_a_lease_is_not_told_to_a_bot_that_never_held_it(
    client: Client, ada: Bot, bob: Bot, call: str
) -> None:
    lease = take_one(ada)
    lifecycle.release([lease.id], by=lifecycle.SWEEP, reason="silent")
    body = {k: v for k, v in report(lease, call).items() if k != "id"}
    problem = send(client, str(bob.token), "POST", f"/jobs/{lease.id}/{call}", body).json()  # type: ignore[attr-defined]
    assert (problem["code"], problem["ended_by"], problem["verb"]) == ("lease_lost", None, None)


def test_a_lease_that_has_run_out_and_was_not_swept_yet_is_the_bots_still(client: Client, ada: Bot) -> None:
    lease = take_one(ada)
    Job.objects.filter(pk=lease.id).update(deadline_at=Now())
    assert exchange(client, ada, completed=[report(lease, "complete")]).json()["accepted"] == [lease.id]
