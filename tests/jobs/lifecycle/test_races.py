"""Two callers at once: one of them wins, the other is told so, and nothing is done twice."""

import threading
from collections import Counter
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from bots.models import Bot
from jobs import lifecycle
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.errors import InstanceReplaced, LeaseLost
from jobs.lifecycle import By
from jobs.models import Job, JobEvent
from jobs.states import JobStatus, Verb
from jobs.sweep.run import sweep
from tests.cast import Lease, bot_named, enqueue_one, make_older, take_one
from tests.race import PATIENCE, in_order, racers

pytestmark = pytest.mark.django_db(transaction=True)


def verbs(lease: Lease) -> list[str]:
    return list(JobEvent.objects.filter(job=lease.id).order_by("id").values_list("verb", flat=True))


# --- claim / claim ------------------------------------------------------------------------------------------------


def test_a_job_that_another_claim_has_in_hand_is_passed_over_and_not_waited_for(ada: Bot, bob: Bot) -> None:
    first, second = enqueue_one(priority=2), enqueue_one(priority=1)
    with racers() as run, transaction.atomic():
        (mine,) = lifecycle.claim(ada)
        # Ours is not committed; a claim that waited for it would wait for ever.
        (theirs,) = run.go(lambda: lifecycle.claim(bob)).result(PATIENCE)
    assert (mine.id, theirs.id) == (first.pk, second.pk)


def test_many_claims_at_once_hand_out_every_job_once(db: None) -> None:
    bots = [bot_named(f"bot {n}") for n in range(6)]
    insert.enqueue([NewJob("sum", {}) for _ in range(120)])
    ready = threading.Barrier(len(bots))

    def work(bot: Bot) -> list[int]:
        ready.wait(PATIENCE)
        got: list[int] = []
        while claimed := lifecycle.claim(bot, limit=3):
            got += [job.id for job in claimed]
        return got

    with racers() as run:
        futures = [run.go(lambda bot=bot: work(bot)) for bot in bots]  # type: ignore[misc]
        got = [pk for future in futures for pk in future.result(PATIENCE)]
    assert max(Counter(got).values()) == 1
    assert sorted(got) == sorted(Job.objects.values_list("id", flat=True))
    assert set(Job.objects.values_list("attempt", flat=True)) == {1}


def test_two_processes_of_a_bot_cannot_both_fill_its_last_place(db: None) -> None:
    eve = bot_named("eve", capacity=1)
    enqueue_one()
    enqueue_one()
    one, two = in_order(eve, lambda: lifecycle.claim(eve), lambda: lifecycle.claim(eve))
    assert (len(one), len(two)) == (1, 0)


# --- complete / release -------------------------------------------------------------------------------------------


def test_complete_before_release_wins(ada: Bot, olga: User) -> None:
    lease, by = take_one(ada), By.operator(olga)
    completed, released = in_order(lease.job, lambda: lease.complete(3), lambda: lifecycle.release([lease.id], by=by))
    assert (completed.accepted, released) == ([lease.id], [])
    assert (lease.job.status, lease.job.result) == (JobStatus.SUCCEEDED, 3)
    assert verbs(lease) == []


def test_release_before_complete_wins_and_the_result_is_kept(ada: Bot, olga: User) -> None:
    lease, by = take_one(ada), By.operator(olga)
    released, completed = in_order(lease.job, lambda: lifecycle.release([lease.id], by=by), lambda: lease.complete(3))
    assert len(released) == 1
    assert completed.rejected[lease.id].extra["ended_by"] == "operator olga"
    assert (lease.job.status, lease.job.result) == (JobStatus.PENDING, None)
    assert verbs(lease) == [Verb.RELEASE, Verb.LATE]


# --- release / release, cancel / complete, fail / cancel ----------------------------------------------------------


def test_of_two_releases_one_does_it(ada: Bot, olga: User) -> None:
    lease, by = take_one(ada), By.operator(olga)

    def release() -> list[lifecycle.Change]:
        return lifecycle.release([lease.id], by=by)

    one, two = in_order(lease.job, release, release)
    assert (len(one), len(two)) == (1, 0)
    assert verbs(lease) == [Verb.RELEASE]
    assert lease.job.uncounted == 1


def test_a_second_release_does_not_take_the_job_from_its_next_holder(ada: Bot, bob: Bot) -> None:
    lease = take_one(ada)
    with racers() as run:
        with transaction.atomic():
            lease.hand_back()
            # The same bot says it again, on another connection, while the first has not been committed.
            again = run.go_and_block(lease.hand_back)
            lifecycle.claim(bob)
        assert again.result(PATIENCE).accepted == [lease.id]
    assert (lease.job.claimed_by, lease.job.attempt) == (bob, 2)


def test_cancel_before_complete_wins_and_the_result_is_kept(ada: Bot, olga: User) -> None:
    lease, by = take_one(ada), By.operator(olga)
    cancelled, completed = in_order(lease.job, lambda: lifecycle.cancel([lease.id], by=by), lambda: lease.complete(3))
    assert len(cancelled) == 1
    assert completed.rejected[lease.id].extra["cancel"] is True
    assert lease.job.status == JobStatus.CANCELLED
    assert verbs(lease) == [Verb.CANCEL, Verb.LATE]


def test_complete_before_cancel_wins(ada: Bot, olga: User) -> None:
    lease, by = take_one(ada), By.operator(olga)
    completed, cancelled = in_order(lease.job, lambda: lease.complete(3), lambda: lifecycle.cancel([lease.id], by=by))
    assert (completed.accepted, cancelled) == ([lease.id], [])
    assert lease.job.status == JobStatus.SUCCEEDED


@pytest.mark.parametrize("verb", ["complete", "fail", "hand_back"])
def test_the_same_report_on_two_connections_is_accepted_twice_and_happens_once(ada: Bot, verb: str) -> None:
    lease = take_one(ada)
    report: Callable[[], lifecycle.Outcome] = getattr(lease, verb)
    one, two = in_order(lease.job, report, report)
    assert one.accepted == two.accepted == [lease.id]
    assert len(verbs(lease)) == (0 if verb == "complete" else 1)


# --- the sweep ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["complete", "heartbeat"])
def test_a_sweep_leaves_a_job_that_its_bot_is_just_reporting_on_to_the_bot(ada: Bot, verb: str) -> None:
    lease = take_one(ada)
    make_older(lease, 8)
    with racers() as run, transaction.atomic():
        assert getattr(lease, verb)().accepted == [lease.id]
        # Not committed yet: for the sweep the lease is overdue still, and must neither wait nor expire it.
        assert run.go(sweep).result(PATIENCE).expired == 0
    assert sweep().expired == 0
    assert verbs(lease) == []
    assert lease.job.status == (JobStatus.SUCCEEDED if verb == "complete" else JobStatus.PROCESSING)


@pytest.mark.parametrize("verb", ["complete", "heartbeat"])
def test_a_report_that_meets_a_sweep_waits_and_is_told_that_the_lease_expired(ada: Bot, verb: str) -> None:
    lease = take_one(ada)
    make_older(lease, 8)
    with racers() as run:
        with transaction.atomic():
            assert sweep().expired == 1
            report = run.go_and_block(getattr(lease, verb))
        outcome = report.result(PATIENCE)
    error = outcome.rejected[lease.id]
    assert isinstance(error, LeaseLost)
    assert error.extra["ended_by"] == "the sweep"
    assert lease.job.status == JobStatus.PENDING
    assert verbs(lease) == ([Verb.EXPIRE, Verb.LATE] if verb == "complete" else [Verb.EXPIRE])


def test_two_sweeps_at_once_expire_every_lease_once(ada: Bot, bob: Bot) -> None:
    leases = [take_one(bot) for bot in (ada, bob) for _ in range(10)]
    for lease in leases:
        make_older(lease, 8)
    ready = threading.Barrier(2)

    def swept() -> int:
        ready.wait(PATIENCE)
        return sweep().expired

    with racers() as run:
        one, two = run.go(swept), run.go(swept)
        assert one.result(PATIENCE) + two.result(PATIENCE) == len(leases)
    assert all(verbs(lease) == [Verb.EXPIRE] for lease in leases)
    assert set(Job.objects.values_list("status", flat=True)) == {"pending"}


# --- enqueue / enqueue, hello / claim -----------------------------------------------------------------------------


def test_the_same_key_from_two_producers_is_one_job(db: None) -> None:
    new = [NewJob("sum", {}, key="k")]
    enqueue_one()
    with racers() as run:
        with transaction.atomic():
            ((mine, created),) = insert.enqueue(new)
            other = run.go_and_block(lambda: insert.enqueue(new))
        assert created == "created"
        assert other.result(PATIENCE) == [(mine, "existing")]


def test_a_claim_by_an_earlier_life_that_meets_hello_is_refused_or_goes_back(ada: Bot) -> None:
    enqueue_one()
    lifecycle.hello(ada, instance="first")

    def claim_as(instance: str) -> str:
        try:
            return f"{len(lifecycle.claim(ada, instance=instance))} claimed"
        except InstanceReplaced:
            return "replaced"

    one, _ = in_order(ada, lambda: claim_as("first"), lambda: lifecycle.hello(ada, instance="second"))
    assert one == "1 claimed"
    assert Job.objects.get().status == JobStatus.PENDING
    _, two = in_order(ada, lambda: lifecycle.hello(ada, instance="third"), lambda: claim_as("second"))
    assert two == "replaced"
    assert Job.objects.get().status == JobStatus.PENDING


def test_a_late_result_does_not_wait_for_who_holds_the_job_now(ada: Bot, bob: Bot) -> None:
    # Its event points to the job, and at its commit PostgreSQL looks whether the job is there: where that had to wait
    # for the job's lock, a bot that held other jobs meanwhile was one half of a deadlock.
    lease = take_one(ada)
    lease.hand_back()
    (again,) = lifecycle.claim(bob)
    with racers() as run, transaction.atomic():
        Lease(bob, again.id, again.attempt).heartbeat()
        outcome = run.go(lambda: lease.complete(3)).result(PATIENCE)
    assert isinstance(outcome.rejected[lease.id], LeaseLost)
    assert verbs(lease) == [Verb.RELEASE, Verb.LATE]


def test_bots_that_report_while_their_jobs_are_released_never_wait_for_each_other_for_ever(olga: User) -> None:
    # Jobs before bots, always: with two orders PostgreSQL would end one of the two as a deadlock.
    bots = [bot_named(f"bot {n}") for n in range(3)]
    by = By.operator(olga)
    ready = threading.Barrier(4)

    def work(bot: Bot) -> None:
        ready.wait(PATIENCE)
        for _ in range(15):
            leases = [Lease(bot, job.id, job.attempt) for job in lifecycle.claim(bot, limit=3)]
            for lease in leases:
                lease.heartbeat()
            lifecycle.fail([lease.report(error="again") for lease in reversed(leases)], by=By.bot(bot))

    def operate() -> None:
        ready.wait(PATIENCE)
        for _ in range(15):
            lifecycle.release(Job.objects.held().values_list("id", flat=True), by=by)
            lifecycle.regrade(Bot.objects.all())

    insert.enqueue([NewJob("sum", {}, max_attempts=1000) for _ in range(60)])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_jobkind SET backoff = interval '0'")
    with racers() as run:
        futures = [run.go(lambda bot=bot: work(bot)) for bot in bots] + [run.go(operate)]  # type: ignore[misc]
        for future in futures:
            future.result(PATIENCE)
    lifecycle.release(Job.objects.held().values_list("id", flat=True), by=by)
    assert set(Bot.objects.values_list("status", flat=True)) == {"idle"}
