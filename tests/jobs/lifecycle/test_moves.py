"""What an operator does to jobs: release, cancel, retry, accept, restart. Each is one event with who and why."""

import pytest
from django.contrib.auth.models import User

from bots.models import Bot
from bots.states import BotStatus, HealthStatus
from jobs import lifecycle
from jobs.lifecycle import SWEEP, By
from jobs.models import Job, JobEvent
from jobs.states import JobStatus, Verb
from tests.cast import Lease, enqueue_one, make_older, take_one

pytestmark = pytest.mark.django_db


@pytest.fixture
def by(olga: User) -> By:
    return By.operator(olga)


def ended(status: JobStatus, bot: Bot, by: By) -> Job:
    """A job that ended so."""
    lease = take_one(bot)
    if status == JobStatus.SUCCEEDED:
        lease.complete()
    elif status == JobStatus.FAILED:
        lease.fail(retry=False)
    else:
        lifecycle.cancel([lease.id], by=by)
    return lease.job


def last_event(job: Job | Lease) -> JobEvent:
    return JobEvent.objects.filter(job=job.id).latest("id")


# --- Release --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [True, False])
def test_release_gives_a_held_job_back_and_the_bot_is_well(ada: Bot, by: By, start: bool) -> None:
    lease = take_one(ada, start=start)
    make_older(lease, 20)
    lifecycle.regrade(Bot.objects.all())
    ada.refresh_from_db()
    assert (ada.status, ada.health_status, ada.stuck_job_id) == (BotStatus.BUSY, HealthStatus.UNHEALTHY, lease.id)
    was = lease.job.status

    (change,) = lifecycle.release([lease.id], by=by, reason="it hangs")

    job = lease.job
    assert (change.id, change.previous_status, change.status, change.bot, change.bot_name) == (
        lease.id, was, "pending", ada.pk, "ada",
    )  # fmt: skip
    assert change.held_for is not None
    assert change.held_for >= 20 * 60
    assert (job.status, job.claimed_by, job.claimed_at, job.deadline_at, job.progress) == (
        "pending",
        None,
        None,
        None,
        None,
    )
    ada.refresh_from_db()
    assert (ada.status, ada.health_status, ada.health_reason, ada.stuck_job) == (BotStatus.IDLE, "normal", "", None)


def test_release_writes_one_event_with_who_and_why(ada: Bot, by: By) -> None:
    lease = take_one(ada)
    lifecycle.release([lease.id], by=by, reason="it hangs")
    event = JobEvent.objects.get()
    assert (event.verb, event.from_status, event.to_status, event.attempt) == ("release", "processing", "pending", 1)
    assert (event.actor, event.by, event.bot, event.reason) == ("operator", "olga", ada, "it hangs")


def test_a_released_job_can_be_claimed_at_once_and_the_attempt_does_not_count(ada: Bot, bob: Bot, by: By) -> None:
    lease = take_one(ada, max_attempts=1)
    lifecycle.release([lease.id], by=by)
    (again,) = lifecycle.claim(bob)
    assert (again.id, again.attempt) == (lease.id, 2)
    Lease(bob, again.id, again.attempt).complete()
    assert lease.job.status == JobStatus.SUCCEEDED


@pytest.mark.parametrize("status", [JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED])
def test_release_leaves_a_finished_job_alone(ada: Bot, by: By, status: JobStatus) -> None:
    job = ended(status, ada, by)
    assert lifecycle.release([job.pk], by=by) == []
    assert Job.objects.get().status == status


def test_release_takes_a_set_and_changes_what_is_held(ada: Bot, by: By) -> None:
    held, pending = take_one(ada), enqueue_one()
    changes = lifecycle.release([held.id, held.id, pending.pk, 10**12], by=by)
    assert [change.id for change in changes] == [held.id]
    assert JobEvent.objects.count() == 1


def test_a_bot_that_holds_another_stuck_job_stays_stuck_after_a_release(ada: Bot, by: By) -> None:
    worst, other = take_one(ada), take_one(ada)
    make_older(worst, 30)
    make_older(other, 4)
    lifecycle.regrade(Bot.objects.all())
    lifecycle.release([worst.id], by=by)
    ada.refresh_from_db()
    assert (ada.status, ada.health_status) == (BotStatus.BUSY, HealthStatus.POTENTIALLY_STUCK)
    assert ada.stuck_job_id == other.id
    assert f"job {other.id}" in ada.health_reason


def test_a_bot_that_holds_another_job_in_good_order_is_well_after_a_release(ada: Bot, by: By) -> None:
    stuck, _fine = take_one(ada), take_one(ada)
    make_older(stuck, 30)
    lifecycle.regrade(Bot.objects.all())
    lifecycle.release([stuck.id], by=by)
    ada.refresh_from_db()
    assert (ada.status, ada.health_status, ada.stuck_job) == (BotStatus.BUSY, HealthStatus.NORMAL, None)


def test_releasing_the_job_in_good_order_leaves_the_bot_stuck_on_the_other(ada: Bot, by: By) -> None:
    stuck, fine = take_one(ada), take_one(ada)
    make_older(stuck, 30)
    lifecycle.regrade(Bot.objects.all())
    lifecycle.release([fine.id], by=by)
    ada.refresh_from_db()
    assert (ada.health_status, ada.stuck_job_id) == (HealthStatus.UNHEALTHY, stuck.id)


# --- Cancel and retry -------------------------------------------------------------------------------------------


def test_cancel_ends_a_pending_job_at_once(ada: Bot, by: By) -> None:
    job = enqueue_one()
    (change,) = lifecycle.cancel([job.pk], by=by, reason="not wanted")
    assert (change.previous_status, change.status, change.bot, change.held_for) == ("pending", "cancelled", None, None)
    job.refresh_from_db()
    assert job.status == JobStatus.CANCELLED
    assert job.finished_at is not None
    assert last_event(job).reason == "not wanted"
    assert lifecycle.claim(ada) == []


def test_cancel_ends_the_lease_of_a_held_job_and_frees_its_bot(ada: Bot, by: By) -> None:
    lease = take_one(ada)
    (change,) = lifecycle.cancel([lease.id], by=by)
    assert (change.previous_status, change.bot_name) == ("processing", "ada")
    assert (lease.job.status, lease.job.claimed_by) == (JobStatus.CANCELLED, None)
    ada.refresh_from_db()
    assert ada.status == BotStatus.IDLE


@pytest.mark.parametrize("status", [JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED])
def test_cancel_leaves_a_finished_job_alone(ada: Bot, by: By, status: JobStatus) -> None:
    job = ended(status, ada, by)
    before = JobEvent.objects.count()
    assert lifecycle.cancel([job.pk], by=by) == []
    assert Job.objects.get().status == status
    assert JobEvent.objects.count() == before


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELLED])
def test_retry_sends_a_job_back_with_all_its_attempts_before_it(ada: Bot, by: By, status: JobStatus) -> None:
    job = ended(status, ada, by)
    Job.objects.filter(pk=job.pk).update(max_attempts=2)
    (change,) = lifecycle.retry([job.pk], by=by, reason="again")
    job.refresh_from_db()
    assert (change.previous_status, job.status, job.finished_at, job.error) == (status, "pending", None, "")
    assert last_event(job).reason == "again"
    for attempt, then in ((2, JobStatus.PENDING), (3, JobStatus.FAILED)):
        (again,) = lifecycle.claim(ada)
        assert (again.id, again.attempt) == (job.pk, attempt)
        Lease(ada, again.id, again.attempt).fail()
        make_older(job, 10_000)
        job.refresh_from_db()
        assert job.status == then


@pytest.mark.parametrize("status", ["pending", "processing", "succeeded"])
def test_retry_leaves_every_other_job_alone(ada: Bot, by: By, status: str) -> None:
    job = take_one(ada).job if status == "processing" else enqueue_one()
    if status == "succeeded":
        (claimed,) = lifecycle.claim(ada)
        Lease(ada, claimed.id, claimed.attempt).complete()
    assert lifecycle.retry([job.pk], by=by) == []
    assert Job.objects.get().status == status


# --- Accept -----------------------------------------------------------------------------------------------------


def late(bot: Bot, by: By, result: object = 42) -> Lease:
    """A pending job with a late result."""
    lease = take_one(bot)
    lifecycle.release([lease.id], by=by)
    lease.complete(result)
    return lease


@pytest.mark.parametrize("result", [42, None, {"a": [1]}])
def test_accept_gives_a_pending_job_its_late_result(ada: Bot, by: By, result: object) -> None:
    lease = late(ada, by, result)
    (change,) = lifecycle.accept([lease.id], by=by, reason="good enough")
    job = lease.job
    assert (change.previous_status, change.status, change.bot_name) == ("pending", "succeeded", "ada")
    assert (job.status, job.result, job.finished_by) == (JobStatus.SUCCEEDED, result, ada)
    event = last_event(lease)
    assert (event.verb, event.by, event.reason, event.attempt) == (Verb.ACCEPT, "olga", "good enough", lease.attempt)


def test_after_an_accept_the_late_bot_is_told_that_its_result_counts(ada: Bot, by: By) -> None:
    lease = late(ada, by)
    lifecycle.accept([lease.id], by=by)
    assert lease.complete(42).accepted == [lease.id]


def test_the_latest_attempts_result_is_taken(ada: Bot, bob: Bot, by: By) -> None:
    lease = late(ada, by, "first")
    (again,) = lifecycle.claim(bob)
    lifecycle.release([lease.id], by=by)
    Lease(bob, again.id, again.attempt).complete("second")
    lifecycle.accept([lease.id], by=by)
    assert (lease.job.result, lease.job.finished_by) == ("second", bob)


def test_a_job_without_a_late_result_is_left_alone(ada: Bot, by: By) -> None:
    job, failed_late = enqueue_one(), take_one(ada)
    lifecycle.release([failed_late.id], by=by)
    failed_late.fail("too late")
    assert lifecycle.accept([job.pk, failed_late.id], by=by) == []


def test_a_job_that_somebody_holds_again_is_left_to_its_holder(ada: Bot, bob: Bot, by: By) -> None:
    lease = late(ada, by)
    lifecycle.claim(bob)
    assert lifecycle.accept([lease.id], by=by) == []
    assert lease.job.claimed_by == bob


# --- The sweep's verbs, and restart -------------------------------------------------------------------------------


def test_expire_counts_the_attempt_and_keeps_the_bots_grade(ada: Bot) -> None:
    lease = take_one(ada, max_attempts=2)
    make_older(lease, 30)
    lifecycle.regrade(Bot.objects.all())
    lifecycle.expire([lease.id], by=SWEEP, reasons={lease.id: "silent"})
    assert (lease.job.status, lease.job.error) == (JobStatus.PENDING, "expired: silent")
    ada.refresh_from_db()
    assert (ada.status, ada.health_status, ada.stuck_job) == (BotStatus.IDLE, HealthStatus.UNHEALTHY, None)
    (again,) = lifecycle.claim(ada)
    lifecycle.expire([lease.id], by=SWEEP, reasons={lease.id: "silent"})
    assert (lease.job.status, lease.job.attempt) == (JobStatus.FAILED, again.attempt)


def test_give_up_ends_a_job_as_failed_with_attempts_left(ada: Bot) -> None:
    lease = take_one(ada, max_attempts=9)
    lifecycle.give_up([lease.id], by=SWEEP, reasons={lease.id: "overdue"})
    assert (lease.job.status, lease.job.error) == (JobStatus.FAILED, "given up: overdue")


def test_flag_is_recorded_once_for_each_attempt_and_changes_nothing(ada: Bot) -> None:
    lease = take_one(ada)
    before = lease.job.deadline_at
    assert lifecycle.flag([lease.id], by=SWEEP, reasons={lease.id: "overdue"}) == 1
    assert lifecycle.flag([lease.id], by=SWEEP, reasons={lease.id: "overdue"}) == 0
    assert (lease.job.status, lease.job.deadline_at) == (JobStatus.PROCESSING, before)


def test_restart_releases_what_the_bots_hold_and_tells_them(ada: Bot, bob: Bot, by: By) -> None:
    mine, theirs = take_one(ada), take_one(bob)
    told, changes = lifecycle.restart(Bot.objects.filter(pk=ada.pk), by=by)
    assert (told, [change.id for change in changes]) == (1, [mine.id])
    assert theirs.job.claimed_by == bob
    assert [i.restart_requested_at is not None for i in ada.instances.all()] == [True]
    assert [i.restart_requested_at is not None for i in bob.instances.all()] == [False]
