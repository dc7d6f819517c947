"""A bot may put a job off, uncounted, a limited number of times; and it may say when a failed one is tried again."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from bots.models import Bot
from jobs import lifecycle
from jobs.errors import TooManyDeferrals
from jobs.lifecycle import By
from jobs.models import Job, JobEvent, JobKind
from jobs.states import JobStatus
from tests.api.calls import refused, send
from tests.cast import Lease, take_one

pytestmark = pytest.mark.django_db


def defer(lease: Lease, run_in: float = 60, reason: str = "") -> lifecycle.Outcome:
    return lifecycle.hand_back([lease.report(run_in=run_in)], by=lease.by, reason=reason)


def taken_again(lease: Lease) -> Lease:
    Job.objects.filter(pk=lease.id).update(run_at="2020-01-01T00:00Z")
    (claimed,) = lifecycle.claim(lease.bot)
    return Lease(lease.bot, claimed.id, claimed.attempt)


def due_in(job: Job) -> float:
    return (job.run_at - timezone.now()).total_seconds()


def test_a_deferred_job_is_pending_until_then_and_not_counted(ada: Bot) -> None:
    lease = take_one(ada)
    assert defer(lease, 600, "the file is not there yet").accepted == [lease.id]
    job = lease.job
    assert (job.status, job.uncounted, job.deferrals, job.claimed_by) == ("pending", 1, 1, None)
    assert 590 < due_in(job) <= 600
    event = JobEvent.objects.get()
    assert (event.verb, event.actor, event.by, event.reason) == ("defer", "bot", "ada", "the file is not there yet")


def test_saying_it_twice_is_fine_and_counts_once(ada: Bot) -> None:
    lease = take_one(ada)
    for _ in range(2):
        assert defer(lease).accepted == [lease.id]
    assert (lease.job.deferrals, JobEvent.objects.count()) == (1, 1)
    assert lease.hand_back().rejected[lease.id].code == "lease_lost"


def test_so_many_deferrals_and_no_more(ada: Bot, settings: Any) -> None:
    settings.MAX_DEFERRALS = 2
    lease = take_one(ada)
    for _ in range(2):
        defer(lease)
        lease = taken_again(lease)
    outcome = defer(lease)
    error = outcome.rejected[lease.id]
    assert isinstance(error, TooManyDeferrals)
    assert "deferred 2 times" in error.detail
    # The bot holds it still, and may end it in any other way.
    assert lease.job.status == JobStatus.PROCESSING
    assert lease.hand_back().accepted == [lease.id]
    assert JobEvent.objects.filter(verb="defer").count() == 2


def test_a_retry_allows_as_many_again(ada: Bot, olga: Any) -> None:
    lease = take_one(ada)
    defer(lease)
    lease = taken_again(lease)
    lease.fail(retry=False)
    lifecycle.retry([lease.id], by=By.operator(olga))
    assert lease.job.deferrals == 0


@pytest.mark.parametrize("retry_in", [0, 90, 5000])
def test_a_failure_may_say_when_the_next_attempt_is(ada: Bot, retry_in: float) -> None:
    lease = take_one(ada)
    lifecycle.fail([lease.report(error="429", retry_in=retry_in)], by=lease.by)
    assert retry_in - 10 < due_in(lease.job) <= retry_in
    assert lease.job.uncounted == 0


def test_a_job_and_its_kind_bound_the_backoff(ada: Bot) -> None:
    JobKind.objects.create(name="sum", backoff=timedelta(hours=5), backoff_max=timedelta(seconds=40))
    lease = take_one(ada)
    lease.fail()
    assert 30 < due_in(lease.job) <= 40
    lease = take_one(ada, backoff=8)
    lease.fail()
    assert 0 < due_in(lease.job) <= 10


def test_by_a_single_call(client: Client, ada: Bot, ada_token: str) -> None:
    lease = take_one(ada)
    body = {"attempt": lease.attempt, "run_in": 30, "reason": "not yet"}
    answer = send(client, ada_token, "POST", f"/jobs/{lease.id}/release", body)
    assert (answer.status_code, answer.json()["status"]) == (200, "deferred")
    lease = taken_again(lease)
    answer = send(
        client, ada_token, "POST", f"/jobs/{lease.id}/fail", {"attempt": lease.attempt, "error": "x", "retry_in": 500}
    )
    assert answer.status_code == 200
    assert due_in(lease.job) > 400


def test_in_an_exchange(client: Client, ada: Bot, ada_token: str, settings: Any) -> None:
    settings.MAX_DEFERRALS = 1
    later, back, often, failed = (take_one(ada) for _ in range(4))
    defer(often)
    often = taken_again(often)
    body = {
        "released": [
            {"id": later.id, "attempt": later.attempt, "run_in": 700, "reason": "not yet"},
            {"id": back.id, "attempt": back.attempt},
            {"id": often.id, "attempt": often.attempt, "run_in": 5},
        ],
        "failed": [{"id": failed.id, "attempt": failed.attempt, "error": "503", "retry_in": 900}],
    }
    answer = send(client, ada_token, "POST", "/exchange", body).json()
    assert sorted(answer["accepted"]) == sorted([later.id, back.id, failed.id])
    assert [(row["id"], row["code"]) for row in answer["rejected"]] == [(often.id, "too_many_deferrals")]
    assert due_in(later.job) > 600
    assert due_in(back.job) < 0
    assert due_in(failed.job) > 800
    assert often.job.status == JobStatus.PROCESSING


def test_an_operator_defers_nothing(client: Client, olga_key: str, ada: Bot) -> None:
    lease = take_one(ada)
    refused(send(client, olga_key, "POST", f"/jobs/{lease.id}/release", {"run_in": 5}), 422, "invalid")
    assert lease.job.status == JobStatus.PROCESSING


@pytest.mark.parametrize("run_in", [-1, 1e12, "soon", True])
def test_no_other_delay_is_taken(client: Client, ada: Bot, ada_token: str, run_in: Any) -> None:
    lease = take_one(ada)
    body = {"attempt": lease.attempt, "run_in": run_in}
    refused(send(client, ada_token, "POST", f"/jobs/{lease.id}/release", body), 422, "invalid")


def test_answers_say_for_how_many_seconds_the_lease_is(client: Client, ada: Bot, ada_token: str) -> None:
    JobKind.objects.create(name="sum", heartbeat_within=timedelta(seconds=90))
    take_one(ada, priority=0).complete()
    lease_of = take_one(ada)
    lifecycle.hand_back([lease_of.report()], by=lease_of.by)
    (job,) = send(client, ada_token, "POST", "/claim", {}).json()["jobs"]
    assert job["lease_for"] == 90
    answer = send(client, ada_token, "POST", f"/jobs/{job['id']}/heartbeat", {"attempt": job["attempt"]}).json()
    assert answer["lease_for"] == 90
