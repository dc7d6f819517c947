"""What each verb leaves of a job is compared in every column: nothing of an ended lease stays on a pending job."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from bots.models import Bot
from jobs import lifecycle
from jobs.lifecycle import SWEEP, By
from jobs.models import Job, JobKind
from jobs.states import JobStatus
from tests.api.calls import send
from tests.cast import Lease, enqueue_one, make_older

pytestmark = pytest.mark.django_db

#: The columns that a lease fills.
LEASE = (
    "status", "claimed_by_id", "instance", "claimed_at", "started_at", "heartbeat_at", "deadline_at", "progress",
    "progress_note",
)  # fmt: skip


def row(job_id: int) -> dict[str, Any]:
    return dict(Job.objects.filter(pk=job_id).values().get())


def now() -> datetime:
    """The database's time in this transaction's statement."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        at: datetime = cursor.fetchone()[0]
    return at


@pytest.fixture
def new() -> dict[str, Any]:
    """The row of a job that nobody has had."""
    JobKind.objects.update_or_create(name="sum", defaults={"backoff": timedelta(0)})
    return row(enqueue_one(key="k", priority=4, max_attempts=2).pk)


@pytest.fixture
def lease(new: dict[str, Any], client: Client, ada: Bot) -> Lease:
    """The same job, held by ada's first process, with something in every column that a lease fills."""
    lifecycle.hello(ada, instance="first")
    headers = {"Bot-Instance": "first"}
    (job,) = send(client, str(ada.token), "POST", "/claim", {}, **headers).json()["jobs"]  # type: ignore[attr-defined]
    lease = Lease(ada, job["id"], job["attempt"])
    lease.heartbeat(progress=40, note="p. 4")
    held = row(lease.id)
    assert (held["id"], held["instance"]) == (new["id"], "first")
    assert [name for name in LEASE if held[name] == new[name]] == []
    return lease


def exchange(client: Client, bot: Bot, **body: Any) -> dict[str, Any]:
    return dict(send(client, str(bot.token), "POST", "/exchange", body).json())  # type: ignore[attr-defined]


def differs(lease: Lease, was: dict[str, Any]) -> dict[str, Any]:
    """The columns of the job that are not as they were."""
    return {name: value for name, value in row(lease.id).items() if value != was[name]}


# --- Pending again ------------------------------------------------------------------------------------------------


def _operator(client: Client, lease: Lease, olga: User, olga_key: str) -> None:
    answer = send(client, olga_key, "POST", f"/jobs/{lease.id}/release", {"reason": "ada hangs"})
    assert answer.status_code == 200


def _bot(client: Client, lease: Lease, olga: User, olga_key: str) -> None:
    token = str(lease.bot.token)  # type: ignore[attr-defined]
    assert send(client, token, "POST", f"/jobs/{lease.id}/release", {"attempt": 1}).status_code == 200


def _hello(client: Client, lease: Lease, olga: User, olga_key: str) -> None:
    lifecycle.hello(lease.bot, instance="second")


def _restart(client: Client, lease: Lease, olga: User, olga_key: str) -> None:
    lifecycle.restart(Bot.objects.filter(pk=lease.bot.pk), by=By.operator(olga))


RELEASES = {f.__name__[1:]: f for f in (_operator, _bot, _hello, _restart)}


@pytest.mark.parametrize("how", RELEASES)
def test_a_released_job_is_as_new_but_for_an_attempt_that_does_not_count(
    new: dict[str, Any], client: Client, lease: Lease, olga: User, olga_key: str, how: str
) -> None:
    RELEASES[how](client, lease, olga, olga_key)
    assert differs(lease, new) == {"attempt": 1, "uncounted": 1}


def test_an_expired_job_is_as_new_but_for_a_counted_attempt_and_its_error(new: dict[str, Any], lease: Lease) -> None:
    lifecycle.expire([lease.id], by=SWEEP, reasons={lease.id: "silent"})
    first = lease.bot.instances.get().pk
    assert differs(lease, new) == {"attempt": 1, "error": "expired: silent", "not_for": first}


@pytest.mark.parametrize("how", ["call", "exchange"])
def test_a_failed_attempt_leaves_a_job_as_new_but_for_when_it_runs_and_its_error(
    new: dict[str, Any], client: Client, lease: Lease, how: str
) -> None:
    if how == "call":
        lease.fail("no disk")
    else:
        exchange(client, lease.bot, failed=[{"id": lease.id, "attempt": 1, "error": "no disk"}])
    after = differs(lease, new)
    assert after.pop("run_at") > new["run_at"]
    assert after == {"attempt": 1, "error": "no disk"}


@pytest.mark.parametrize("ending", ["cancel", "fail", "give up", "expire for the last time"])
def test_a_job_that_is_retried_is_as_new_but_for_when_it_runs_and_attempts_that_do_not_count(
    new: dict[str, Any], client: Client, lease: Lease, olga: User, olga_key: str, ending: str
) -> None:
    if ending == "cancel":
        lifecycle.cancel([lease.id], by=By.operator(olga))
    elif ending == "fail":
        lease.fail("no disk", retry=False)
    elif ending == "give up":
        lifecycle.give_up([lease.id], by=SWEEP, reasons={lease.id: "silent"})
    else:
        lifecycle.expire([lease.id], by=SWEEP, reasons={lease.id: "silent"}, last={lease.id: "hung 3 bots"})
    assert row(lease.id)["progress_note"] == "p. 4"
    assert send(client, olga_key, "POST", f"/jobs/{lease.id}/retry", {}).status_code == 200
    after = differs(lease, new)
    assert after.pop("run_at") > new["run_at"]
    assert after == {"attempt": 1, "uncounted": 1}


def test_the_lease_after_the_next_claim_has_nothing_of_the_one_before(
    new: dict[str, Any], client: Client, lease: Lease, bob: Bot
) -> None:
    lease.fail("no disk")
    before = row(lease.id)
    assert len(exchange(client, bob, claim={})["jobs"]) == 1
    after = differs(lease, before)
    at = after["claimed_at"]
    assert before["run_at"] <= at <= now()
    assert after.pop("deadline_at") > at
    assert after == {
        "status": "processing", "attempt": 2, "claimed_by_id": bob.pk, "claimed_at": at, "started_at": at,
        "heartbeat_at": at, "error": "",
    }  # fmt: skip


# --- Ended --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["call", "exchange"])
def test_a_completed_job_keeps_its_moments_and_has_its_result(client: Client, lease: Lease, how: str) -> None:
    held = row(lease.id)
    if how == "call":
        lease.complete([1])
    else:
        exchange(client, lease.bot, completed=[{"id": lease.id, "attempt": 1, "result": [1]}])
    after = differs(lease, held)
    assert held["heartbeat_at"] <= after.pop("finished_at") <= now()
    assert after == {
        "status": "succeeded", "result": [1], "progress": 100, "claimed_by_id": None, "finished_by_id": lease.bot.pk,
        "deadline_at": None,
    }  # fmt: skip


def _cancel(client: Client, lease: Lease) -> None:
    lifecycle.cancel([lease.id], by=SWEEP)


def _fail(client: Client, lease: Lease) -> None:
    lease.fail("no disk", retry=False)


def _exchange(client: Client, lease: Lease) -> None:
    exchange(client, lease.bot, failed=[{"id": lease.id, "attempt": 1, "error": "no disk", "retry": False}])


def _give_up(client: Client, lease: Lease) -> None:
    lifecycle.give_up([lease.id], by=SWEEP, reasons={lease.id: "no disk"})


@pytest.mark.parametrize(
    ("end", "status", "error"),
    [
        (_cancel, JobStatus.CANCELLED, None),
        (_fail, JobStatus.FAILED, "no disk"),
        (_exchange, JobStatus.FAILED, "no disk"),
        (_give_up, JobStatus.FAILED, "given up: no disk"),
    ],
)
def test_a_job_that_ends_otherwise_keeps_its_moments_and_what_its_bot_reported(
    client: Client, lease: Lease, end: Callable[[Client, Lease], None], status: JobStatus, error: str | None
) -> None:
    held = row(lease.id)
    end(client, lease)
    after = differs(lease, held)
    assert held["heartbeat_at"] <= after.pop("finished_at") <= now()
    changed = {"status": status, "claimed_by_id": None, "instance": "", "deadline_at": None}
    assert after == changed | ({} if error is None else {"error": error})


def test_a_pending_job_that_is_cancelled_keeps_the_error_of_its_last_attempt(
    client: Client, lease: Lease, olga_key: str
) -> None:
    lease.fail("no disk")
    pending = row(lease.id)
    assert send(client, olga_key, "POST", f"/jobs/{lease.id}/cancel", {}).status_code == 200
    after = differs(lease, pending)
    assert after.pop("finished_at") >= pending["run_at"]
    assert (after, pending["error"]) == ({"status": "cancelled"}, "no disk")


def test_a_late_result_that_is_accepted_leaves_a_job_as_new_but_for_the_result(
    new: dict[str, Any], lease: Lease, olga: User
) -> None:
    lifecycle.release([lease.id], by=By.operator(olga))
    lease.complete([1])
    make_older(lease, 1)
    pending = row(lease.id)
    lifecycle.accept([lease.id], by=By.operator(olga))
    after = differs(lease, pending)
    assert after.pop("finished_at") > pending["run_at"]
    assert after == {"status": "succeeded", "result": [1], "finished_by_id": lease.bot.pk}
