"""A bot that holds a lease starts it, renews it and ends it; saying so twice is a success."""

from datetime import timedelta

import pytest

from bots.models import Bot
from bots.states import BotStatus, HealthStatus
from jobs import lifecycle
from jobs.errors import LeaseLost
from jobs.lifecycle import By, Report
from jobs.models import Job, JobEvent, JobKind
from jobs.states import JobStatus, Verb
from jobsite.lib.errors import NotFound
from tests.cast import Lease, make_older, take_one

pytestmark = pytest.mark.django_db


def events(lease: Lease) -> list[tuple[str, str, str]]:
    rows = JobEvent.objects.filter(job=lease.id).order_by("id")
    return list(rows.values_list("verb", "from_status", "to_status"))


def test_start_makes_a_claimed_job_processing(ada: Bot) -> None:
    lease = take_one(ada, start=False)
    assert lease.start().accepted == [lease.id]
    assert lease.job.status == JobStatus.PROCESSING
    assert lease.job.started_at is not None


def test_start_twice_is_accepted_and_the_job_was_started_once(ada: Bot) -> None:
    lease = take_one(ada, start=False)
    lease.start()
    make_older(lease, 1)
    started = lease.job.started_at
    assert lease.start().accepted == [lease.id]
    assert lease.job.started_at == started


def test_a_heartbeat_moves_the_deadline_and_keeps_progress_and_note(ada: Bot) -> None:
    lease = take_one(ada)
    make_older(lease, 1)
    before = lease.job
    ((renewed,), outcome) = lifecycle.heartbeat([lease.report(progress=40, note="half")], by=lease.by)
    after = lease.job
    assert outcome.accepted == [lease.id]
    assert (after.progress, after.progress_note) == (40, "half")
    assert after.heartbeat_at > before.heartbeat_at  # type: ignore[operator]
    assert after.deadline_at == renewed.deadline_at
    assert after.deadline_at > before.deadline_at  # type: ignore[operator]


def test_a_heartbeat_without_progress_leaves_the_progress_before(ada: Bot) -> None:
    lease = take_one(ada)
    lease.heartbeat(progress=40, note="half")
    lease.heartbeat()
    assert (lease.job.progress, lease.job.progress_note) == (40, "half")


def test_the_deadline_is_the_first_limit_ahead(ada: Bot) -> None:
    lease = take_one(ada)
    job = lease.job
    assert job.deadline_at - job.heartbeat_at == job.kind.heartbeat_within  # type: ignore[operator]
    JobKind.objects.filter(name="sum").update(run_within=timedelta(seconds=30))
    lease.heartbeat()
    job = lease.job
    assert job.deadline_at - job.started_at == timedelta(seconds=30)  # type: ignore[operator]


def test_complete_ends_the_job_with_its_result(ada: Bot) -> None:
    lease = take_one(ada)
    assert lease.complete({"total": 3}).accepted == [lease.id]
    job = lease.job
    assert (job.status, job.result, job.finished_by) == (JobStatus.SUCCEEDED, {"total": 3}, ada)
    assert job.finished_at is not None
    assert (job.claimed_by, job.deadline_at) == (None, None)
    # A plain success writes no history.
    assert events(lease) == []


def test_complete_makes_the_bot_idle_only_when_it_holds_nothing_more(ada: Bot) -> None:
    first, second = take_one(ada), take_one(ada)
    first.complete()
    ada.refresh_from_db()
    assert ada.status == BotStatus.BUSY
    second.complete()
    ada.refresh_from_db()
    assert ada.status == BotStatus.IDLE


def test_a_claimed_job_may_be_completed_without_a_start(ada: Bot) -> None:
    lease = take_one(ada, start=False)
    lease.complete()
    assert lease.job.status == JobStatus.SUCCEEDED
    assert lease.job.started_at is not None


def test_progress_of_a_completed_job_is_100_where_there_was_any(ada: Bot) -> None:
    told, silent = take_one(ada), take_one(ada)
    told.heartbeat(progress=3)
    told.complete()
    silent.complete()
    assert (told.job.progress, silent.job.progress) == (100, None)


def test_complete_ends_a_complaint_about_the_job(ada: Bot) -> None:
    lease = take_one(ada)
    make_older(lease, 4)
    lifecycle.regrade(Bot.objects.all())
    ada.refresh_from_db()
    assert (ada.health_status, ada.stuck_job_id) == (HealthStatus.POTENTIALLY_STUCK, lease.id)
    lease.complete()
    ada.refresh_from_db()
    assert (ada.health_status, ada.health_reason, ada.stuck_job_id) == (HealthStatus.NORMAL, "", None)


def test_fail_with_attempts_left_goes_back_to_pending_after_a_delay(ada: Bot) -> None:
    JobKind.objects.create(name="sum", backoff=timedelta(minutes=10))
    lease = take_one(ada, max_attempts=2)
    make_older(lease, 1)
    ended = lease.job.heartbeat_at
    assert lease.fail("no such number").accepted == [lease.id]
    job = lease.job
    assert (job.status, job.error, job.claimed_by) == (JobStatus.PENDING, "no such number", None)
    # 10 minutes, a quarter either way, from now; a minute ago is the only clock we have here.
    assert timedelta(minutes=7.5) <= job.run_at - ended <= timedelta(minutes=14)  # type: ignore[operator]
    assert events(lease) == [("fail", "processing", "pending")]
    assert lifecycle.claim(ada) == []


def test_fail_with_attempts_used_up_is_failed(ada: Bot) -> None:
    lease = take_one(ada, max_attempts=1)
    lease.fail("broken")
    assert (lease.job.status, lease.job.error) == (JobStatus.FAILED, "broken")
    assert lease.job.finished_at is not None
    assert events(lease) == [("fail", "processing", "failed")]


def test_fail_that_must_not_be_retried_is_failed_at_once(ada: Bot) -> None:
    lease = take_one(ada, max_attempts=5)
    lease.fail(retry=False)
    assert lease.job.status == JobStatus.FAILED


def test_every_attempt_is_tried_and_no_more(ada: Bot) -> None:
    lease = take_one(ada, max_attempts=3)
    for attempt in (1, 2, 3):
        assert lease.attempt == attempt
        lease.fail()
        make_older(lease, 10_000)
        claimed = lifecycle.claim(ada)
        if claimed:
            lease = Lease(ada, claimed[0].id, claimed[0].attempt)
    assert (lease.job.status, lease.job.attempt) == (JobStatus.FAILED, 3)


def test_handing_back_does_not_count_and_the_job_can_be_claimed_at_once(ada: Bot, bob: Bot) -> None:
    lease = take_one(ada, max_attempts=1)
    assert lease.hand_back().accepted == [lease.id]
    assert events(lease) == [("release", "processing", "pending")]
    (again,) = lifecycle.claim(bob)
    assert (again.id, again.attempt) == (lease.id, 2)
    Lease(bob, again.id, again.attempt).fail()
    assert lease.job.status == JobStatus.FAILED


@pytest.mark.parametrize("verb", ["complete", "fail", "hand_back"])
def test_the_same_report_twice_is_accepted_twice_and_happens_once(ada: Bot, verb: str) -> None:
    lease = take_one(ada)
    first = getattr(lease, verb)()
    before, history = lease.job.__dict__, events(lease)
    second = getattr(lease, verb)()
    after = lease.job.__dict__
    assert first.accepted == second.accepted == [lease.id]
    assert {k: v for k, v in before.items() if k != "_state"} == {k: v for k, v in after.items() if k != "_state"}
    assert events(lease) == history


@pytest.mark.parametrize("verb", ["complete", "fail", "hand_back"])
def test_the_same_report_again_is_accepted_after_another_bot_has_the_job(ada: Bot, bob: Bot, verb: str) -> None:
    lease = take_one(ada, max_attempts=3)
    getattr(lease, verb)()
    make_older(lease, 10_000)
    lifecycle.claim(bob)
    assert getattr(lease, verb)().accepted == [lease.id]


def test_one_report_about_many_leases_says_of_each_what_became_of_it(ada: Bot, bob: Bot) -> None:
    mine, theirs = take_one(ada), take_one(bob)
    nothing = Report(10**9, 1)
    outcome = lifecycle.complete([mine.report(), theirs.report(), nothing], by=By.bot(ada))
    assert outcome.accepted == [mine.id]
    assert isinstance(outcome.rejected[theirs.id], LeaseLost)
    assert isinstance(outcome.rejected[nothing.id], NotFound)
    assert theirs.job.status == JobStatus.PROCESSING


@pytest.mark.parametrize("verb", ["start", "heartbeat", "complete", "fail", "hand_back"])
def test_a_lease_the_bot_never_held_is_not_its_own(ada: Bot, bob: Bot, verb: str) -> None:
    lease = take_one(ada)
    outcome = getattr(Lease(bob, lease.id, lease.attempt), verb)()
    assert "never held" in outcome.rejected[lease.id].extra["reason"]
    assert (lease.job.status, lease.job.claimed_by) == (JobStatus.PROCESSING, ada)
    assert not JobEvent.objects.filter(verb=Verb.LATE).exists()


@pytest.mark.parametrize("verb", ["start", "heartbeat", "complete", "fail", "hand_back"])
def test_an_attempt_to_come_is_refused(ada: Bot, verb: str) -> None:
    lease = take_one(ada)
    outcome = getattr(Lease(ada, lease.id, lease.attempt + 1), verb)()
    assert isinstance(outcome.rejected[lease.id], LeaseLost)
    assert Job.objects.get(pk=lease.id).status == JobStatus.PROCESSING


@pytest.mark.parametrize("way", ["together", "each by itself"])
def test_jobs_that_fail_together_are_not_due_again_together(ada: Bot, way: str) -> None:
    leases = [take_one(ada) for _ in range(8)]
    JobKind.objects.update(backoff=timedelta(minutes=4))
    if way == "together":
        lifecycle.fail([lease.report(error="x") for lease in leases], by=By.bot(ada))
    else:
        for lease in leases:
            lease.fail("x")
    failed = dict(JobEvent.objects.values_list("job", "at"))
    delays = {lease.job.run_at - failed[lease.id] for lease in leases}
    assert len(delays) == len(leases)
    assert timedelta(minutes=3) <= min(delays) < max(delays) <= timedelta(minutes=5)
