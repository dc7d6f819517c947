"""A bot whose lease has ended changes nothing any more, and is told who ended it, when and why."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from bots.models import Bot
from jobs import lifecycle
from jobs.errors import LeaseLost
from jobs.lifecycle import SWEEP, By
from jobs.models import Job, JobEvent
from jobs.states import JobStatus, Verb
from jobsite.lib.clock import moment
from tests.cast import Lease, take_one

pytestmark = pytest.mark.django_db

Ending = Callable[[Lease], None]


@pytest.fixture(params=["release", "expire", "cancel"])
def ended(request: pytest.FixtureRequest, ada: Bot, olga: User) -> tuple[Lease, str, str]:
    """A lease of ada's that has ended, with who ended it and how that is said."""
    lease = take_one(ada)
    by = By.operator(olga)
    if request.param == "release":
        lifecycle.release([lease.id], by=by, reason="ada hangs")
        return lease, "operator olga", "released"
    if request.param == "expire":
        lifecycle.expire([lease.id], by=SWEEP, reasons={lease.id: "ada hangs"})
        return lease, "the sweep", "expired"
    lifecycle.cancel([lease.id], by=by, reason="ada hangs")
    return lease, "operator olga", "cancelled"


def snapshot(lease: Lease) -> dict[str, object]:
    return dict(Job.objects.filter(pk=lease.id).values().get())


@pytest.mark.parametrize("verb", ["start", "heartbeat", "complete", "fail", "hand_back"])
def test_nothing_changes_and_the_bot_is_told_who_when_and_why(ended: tuple[Lease, str, str], verb: str) -> None:
    lease, who, past = ended
    before = snapshot(lease)
    outcome = getattr(lease, verb)()
    error = outcome.rejected[lease.id]
    event = JobEvent.objects.filter(job=lease.id).exclude(verb=Verb.LATE).get()
    assert isinstance(error, LeaseLost)
    assert outcome.accepted == []
    assert (error.extra["ended_by"], error.extra["ended_at"], error.extra["reason"]) == (
        who,
        moment(event.at),
        "ada hangs",
    )
    assert f"was {past} by {who} at {moment(event.at)}: ada hangs." in error.detail
    assert snapshot(lease) == before


@pytest.mark.parametrize("verb", ["heartbeat", "complete", "fail", "hand_back"])
def test_the_next_holder_is_not_disturbed(ada: Bot, bob: Bot, olga: User, verb: str) -> None:
    lease = take_one(ada)
    lifecycle.release([lease.id], by=By.operator(olga))
    (again,) = lifecycle.claim(bob)
    before = snapshot(lease)
    assert isinstance(getattr(lease, verb)().rejected[lease.id], LeaseLost)
    assert snapshot(lease) == before
    assert Lease(bob, again.id, again.attempt).complete(1).accepted == [lease.id]


def test_the_same_bot_under_a_new_lease_may_not_report_under_the_old(ada: Bot, olga: User) -> None:
    old = take_one(ada)
    lifecycle.release([old.id], by=By.operator(olga))
    (again,) = lifecycle.claim(ada)
    assert isinstance(old.complete().rejected[old.id], LeaseLost)
    assert Lease(ada, again.id, again.attempt).complete().accepted == [old.id]


def test_a_late_result_is_kept_once_however_often_it_is_sent(ended: tuple[Lease, str, str]) -> None:
    lease, _, _ = ended
    for _ in range(3):
        assert isinstance(lease.complete({"total": 3}).rejected[lease.id], LeaseLost)
    (late,) = JobEvent.objects.filter(job=lease.id, verb=Verb.LATE)
    assert (late.attempt, late.bot, late.detail) == (
        lease.attempt,
        lease.bot,
        {"outcome": "complete", "result": {"total": 3}},
    )
    assert late.from_status == late.to_status == lease.job.status


def test_a_late_failure_is_kept_too(ended: tuple[Lease, str, str]) -> None:
    lease, _, _ = ended
    lease.fail("too late")
    (late,) = JobEvent.objects.filter(job=lease.id, verb=Verb.LATE)
    assert late.detail == {"outcome": "fail", "error": "too late"}


@pytest.mark.parametrize("verb", ["start", "heartbeat", "hand_back"])
def test_what_is_no_result_is_not_kept(ended: tuple[Lease, str, str], verb: str) -> None:
    lease, _, _ = ended
    getattr(lease, verb)()
    assert not JobEvent.objects.filter(verb=Verb.LATE).exists()


def test_a_heartbeat_for_a_cancelled_job_says_that_it_was_cancelled(ada: Bot, olga: User) -> None:
    cancelled, released = take_one(ada), take_one(ada)
    lifecycle.cancel([cancelled.id], by=By.operator(olga))
    lifecycle.release([released.id], by=By.operator(olga))
    assert cancelled.heartbeat().rejected[cancelled.id].extra["cancel"] is True
    assert released.heartbeat().rejected[released.id].extra["cancel"] is False


def test_a_failure_after_a_completion_is_told_that_the_bot_itself_completed_it(ada: Bot) -> None:
    lease = take_one(ada)
    lease.complete(1)
    error = lease.fail().rejected[lease.id]
    assert error.extra["verb"] == "complete"
    assert error.extra["ended_by"] == "bot ada"
    assert (lease.job.status, lease.job.result) == (JobStatus.SUCCEEDED, 1)


def test_a_completion_after_a_failure_is_late(ada: Bot) -> None:
    lease = take_one(ada)
    lease.fail("broke")
    assert isinstance(lease.complete(5).rejected[lease.id], LeaseLost)
    assert lease.job.status == JobStatus.PENDING
    assert JobEvent.objects.get(verb=Verb.LATE).detail["result"] == 5
