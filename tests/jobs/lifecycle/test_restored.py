"""A lease from before a restore is worth nothing after it, and its result is kept where its job is known."""

import pytest
from django.contrib.auth.models import User

from bots.models import Bot
from jobs import attempts, lifecycle
from jobs.errors import LeaseLost
from jobs.lifecycle import SWEEP, By
from jobs.models import Job, JobEvent, JobKind
from jobs.states import JobStatus, Verb
from jobsite.lib.clock import moment
from jobsite.lib.errors import NotFound
from jobsite.models import Site
from tests.cast import Lease, enqueue_one, take_one
from tests.restoring import dumped, own_database, read_in, recreate, restored, short_gap  # noqa: F401

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("short_gap")]

EPOCH = attempts.EPOCH


def undone(lease: Lease, **fields: object) -> Lease:
    """A lease of the lost future: the restored database has never given it."""
    Job.objects.filter(pk=lease.id).update(
        status=JobStatus.PENDING, attempt=0, claimed_by=None, deadline_at=None, **fields
    )
    return lease


@pytest.mark.usefixtures("direct")
@pytest.mark.django_db(transaction=True)
def test_after_a_dump_is_restored_an_old_result_is_not_taken_for_a_new_job(ada: Bot) -> None:
    with own_database():
        enqueue_one()
        with dumped() as dump:
            # What follows is lost.
            old = take_one(ada)
            recreate()
            read_in(dump)
        new = take_one(ada)
        assert (old.attempt, new.attempt) == (1, EPOCH + 1)
        assert new.id > old.id
        again = Lease(ada, new.id, old.attempt)
        for lease in (old, again):
            error = lease.complete({"total": 3}).rejected[lease.id]
            assert isinstance(error, LeaseLost)
            assert "from before the database was restored" in error.detail
        assert (new.job.status, new.job.claimed_by) == (JobStatus.PROCESSING, ada)
        assert not JobEvent.objects.filter(verb=Verb.LATE).exists()
        assert new.complete({"total": 3}).accepted == [new.id]


def test_before_any_restore_attempts_count_from_one(ada: Bot, olga: User) -> None:
    lease = take_one(ada)
    lifecycle.release([lease.id], by=By.operator(olga))
    (again,) = lifecycle.claim(ada)
    assert (Site.objects.get().epoch, lease.attempt, again.attempt) == (0, 1, 2)


def test_an_attempt_goes_on_counting_in_the_next_epoch(ada: Bot, olga: User) -> None:
    lease = take_one(ada)
    lifecycle.release([lease.id], by=By.operator(olga))
    for epoch in (1, 2):
        restored()
        (again,) = lifecycle.claim(ada)
        assert again.attempt == epoch * EPOCH + epoch + 1
        assert Job.objects.get(pk=lease.id).attempt_number == epoch + 1
        lifecycle.release([lease.id], by=By.operator(olga))


def test_numbers_only_grow_where_an_epoch_has_no_more(ada: Bot, olga: User) -> None:
    job = enqueue_one()
    Job.objects.filter(pk=job.pk).update(attempt=EPOCH - 1, uncounted=EPOCH - 1)
    given = []
    for _ in range(3):
        (claimed,) = lifecycle.claim(ada)
        given.append(claimed.attempt)
        lifecycle.release([job.pk], by=By.operator(olga))
    assert given == [EPOCH, EPOCH + 1, EPOCH + 2]


@pytest.mark.parametrize("verb", ["start", "heartbeat", "complete", "fail", "hand_back"])
def test_the_bot_is_told_that_the_database_was_restored(ada: Bot, bob: Bot, verb: str) -> None:
    lost = undone(take_one(ada))
    begun = restored()
    (now,) = lifecycle.claim(bob)
    before = dict(Job.objects.filter(pk=lost.id).values().get())
    error = getattr(lost, verb)().rejected[lost.id]
    assert isinstance(error, LeaseLost)
    assert error.extra["ended_at"] == moment(begun.began_at)
    assert error.extra["reason"] == "the database was restored"
    assert error.extra["cancel"] is False
    assert dict(Job.objects.filter(pk=lost.id).values().get()) == before
    assert now.id == lost.id


def test_a_lease_that_the_restored_database_gave_to_another_is_refused_too(ada: Bot, bob: Bot) -> None:
    mine = take_one(bob)
    restored()
    error = Lease(ada, mine.id, mine.attempt).complete().rejected[mine.id]
    assert error.extra["reason"] == "the database was restored"
    assert mine.complete().accepted == [mine.id]


@pytest.mark.parametrize(("verb", "kept"), [("complete", {"result": 7}), ("fail", {"error": "it broke"})])
def test_what_came_of_a_job_from_before_the_restore_is_kept(ada: Bot, verb: str, kept: dict[str, object]) -> None:
    lost = undone(take_one(ada))
    restored()
    for _ in range(2):
        (lost.complete(7) if verb == "complete" else lost.fail()).rejected[lost.id]
    (late,) = JobEvent.objects.filter(job=lost.id)
    assert (late.verb, late.bot, late.attempt) == (Verb.LATE, ada, lost.attempt)
    assert late.detail == {"outcome": verb} | kept


def test_an_operator_may_accept_such_a_result(ada: Bot, olga: User) -> None:
    lost = undone(take_one(ada))
    restored()
    lost.complete(7)
    lifecycle.accept([lost.id], by=By.operator(olga))
    assert (lost.job.status, lost.job.result) == (JobStatus.SUCCEEDED, 7)


def test_a_result_is_not_kept_with_a_job_that_came_after_the_restore(ada: Bot) -> None:
    restored()
    new = enqueue_one()
    error = Lease(ada, new.pk, 1).complete(7).rejected[new.pk]
    assert error.extra["reason"] == "the database was restored"
    assert not JobEvent.objects.exists()


def test_a_job_that_the_restored_database_does_not_have_is_a_lost_lease(ada: Bot) -> None:
    job = enqueue_one()
    unknown = Lease(ada, job.pk + 900, 1)
    assert isinstance(unknown.complete().rejected[unknown.id], NotFound)
    restored()
    assert isinstance(unknown.complete().rejected[unknown.id], LeaseLost)
    # One with a number of this epoch was never given by anybody.
    assert isinstance(Lease(ada, unknown.id, EPOCH + 1).complete().rejected[unknown.id], NotFound)


def test_a_lease_from_before_that_is_still_held_goes_on(ada: Bot) -> None:
    lease = take_one(ada)
    restored()
    assert lease.heartbeat(progress=50).accepted == [lease.id]
    assert lease.complete(1).accepted == [lease.id]
    assert lease.complete(1).accepted == [lease.id]


def test_a_lease_that_ended_before_the_restore_is_explained_by_its_end(ada: Bot, olga: User) -> None:
    lease = take_one(ada)
    lifecycle.release([lease.id], by=By.operator(olga), reason="ada hangs")
    restored()
    assert lease.complete().rejected[lease.id].extra["reason"] == "ada hangs"


# --- What counts attempts -----------------------------------------------------------------------------------------


def test_a_job_fails_when_its_attempts_of_all_epochs_are_used_up(ada: Bot) -> None:
    JobKind.objects.create(name="sum", backoff="0")
    lease = take_one(ada, max_attempts=3)
    for _ in range(2):
        lease.fail()
        restored()
        assert lease.job.status == JobStatus.PENDING
        (again,) = lifecycle.claim(ada)
        lease = Lease(ada, again.id, again.attempt)
    lease.fail()
    assert lease.job.status == JobStatus.FAILED


def test_an_expiry_counts_the_attempts_of_all_epochs(ada: Bot) -> None:
    restored()
    lease = take_one(ada, max_attempts=2)
    assert not lifecycle.check_leases(Job.objects.filter(pk=lease.id))[0].last
    lifecycle.expire([lease.id], by=SWEEP, reasons={lease.id: "silent"})
    assert lease.job.status == JobStatus.PENDING
    lifecycle.claim(ada)
    assert lifecycle.check_leases(Job.objects.filter(pk=lease.id))[0].last
    lifecycle.expire([lease.id], by=SWEEP, reasons={lease.id: "silent"})
    assert lease.job.status == JobStatus.FAILED


def test_the_backoff_does_not_count_the_epoch(ada: Bot) -> None:
    restored()
    lease = take_one(ada)
    lease.fail()
    job = lease.job
    assert 7 < (job.run_at - job.events.get().at).total_seconds() < 13


def test_a_retry_gives_all_attempts_again(ada: Bot, olga: User) -> None:
    restored()
    lease = take_one(ada, max_attempts=1)
    lease.fail()
    lifecycle.retry([lease.id], by=By.operator(olga))
    assert lease.job.uncounted == 1
    (again,) = lifecycle.claim(ada)
    assert again.attempt == EPOCH + 2
    assert lease.job.status == JobStatus.PROCESSING
    Lease(ada, again.id, again.attempt).fail()
    assert lease.job.status == JobStatus.FAILED
