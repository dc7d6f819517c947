"""Finished jobs go when they are older than their kind's `keep_for`, with their history; nothing else does."""

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from bots.models import Bot
from bots.states import HealthStatus
from jobs import lifecycle
from jobs.bounds import MAX_DURATION
from jobs.lifecycle import By
from jobs.models import Job, JobEvent, JobKind, JobRollup, RollupState, SweepRun
from jobs.states import JobStatus, Span
from jobs.stats import rollup
from jobs.sweep import retention
from jobs.sweep.result import Swept
from jobs.sweep.run import sweep
from tests.cast import Lease, enqueue_one, make_older, take_one
from tests.race import racers

pytestmark = pytest.mark.django_db

DAY = 24 * 60


def add_up(now: Any = None) -> None:
    """What each sweep does at its end."""
    rollup.add_closed_minutes(now)


@pytest.fixture(autouse=True)
def added_up(db: None) -> None:
    """The figures began before there was anything."""
    add_up()
    assert rollup.added_until() is not None


def keep(kind: str, **time: float) -> None:
    JobKind.objects.filter(pk=kind).update(keep_for=timedelta(**time))


def ended(bot: Bot, days: float, kind: str = "sum", **fields: Any) -> Lease:
    """A job that was completed so many days ago."""
    lease = take_one(bot, kind=kind, **fields)
    lease.complete()
    make_older(lease, days * DAY)
    return lease


def left() -> set[int]:
    return set(Job.objects.values_list("pk", flat=True))


def test_each_kind_keeps_its_finished_jobs_for_as_long_as_it_says(ada: Bot) -> None:
    old, young = ended(ada, 31), ended(ada, 29)
    short, shorter = ended(ada, 8, "divide"), ended(ada, 6, "divide")
    keep("divide", days=7)
    assert retention.prune() == 2
    assert left() == {young.id, shorter.id}
    assert not Job.objects.filter(pk__in=[old.id, short.id])
    assert retention.prune() == 0


@pytest.mark.parametrize("status", [JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED])
def test_whatever_way_a_job_ended_it_goes(ada: Bot, olga: Any, status: JobStatus) -> None:
    lease = take_one(ada)
    if status == JobStatus.SUCCEEDED:
        lease.complete()
    elif status == JobStatus.FAILED:
        lease.fail(retry=False)
    else:
        lifecycle.cancel([lease.id], by=By.operator(olga))
    make_older(lease, 31 * DAY)
    assert lease.job.status == status
    assert retention.prune() == 1


def test_what_has_not_ended_stays_however_old_it_is(ada: Bot) -> None:
    pending, held = enqueue_one(), take_one(ada)
    make_older(pending, 400 * DAY)
    make_older(held, 400 * DAY)
    assert retention.prune() == 0
    assert left() == {pending.pk, held.id}


def test_a_jobs_history_goes_with_it_and_no_other(ada: Bot) -> None:
    leases = [take_one(ada), take_one(ada)]
    for lease in leases:
        lease.hand_back()
        lease.complete()
        lease.fail(retry=False)
    for lease in leases:
        Job.objects.filter(pk=lease.id).update(status="failed", finished_at=timezone.now())
    make_older(leases[0], 31 * DAY)
    assert {event.job_id for event in JobEvent.objects.all()} == {lease.id for lease in leases}
    assert retention.prune() == 1
    assert {event.job_id for event in JobEvent.objects.all()} == {leases[1].id}


def test_a_bot_that_was_stuck_on_it_keeps_its_grade_and_names_it_no_more(ada: Bot) -> None:
    old = ended(ada, 31)
    told = {"health_status": HealthStatus.UNHEALTHY, "health_reason": "silent for a long time"}
    Bot.objects.filter(pk=ada.pk).update(stuck_job=old.id, **told)
    assert retention.prune() == 1
    ada.refresh_from_db()
    assert (ada.stuck_job_id, ada.health_status) == (None, HealthStatus.UNHEALTHY)
    with connection.cursor() as cursor:
        # As at a commit: nothing points to what is gone.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_a_key_may_be_used_again_afterwards(ada: Bot) -> None:
    old = ended(ada, 31, key="march")
    assert enqueue_one(key="march").pk == old.id
    retention.prune()
    assert enqueue_one(key="march").pk != old.id


def test_a_job_that_was_sent_back_is_not_old_any_more(ada: Bot, olga: Any) -> None:
    lease = take_one(ada)
    lease.fail(retry=False)
    make_older(lease, 31 * DAY)
    lifecycle.retry([lease.id], by=By.operator(olga))
    assert retention.prune() == 0
    # And when it ends again, that is what counts.
    take_again(ada)
    assert retention.prune() == 0
    assert left() == {lease.id}


def take_again(bot: Bot) -> None:
    (claimed,) = lifecycle.claim(bot)
    Lease(bot, claimed.id, claimed.attempt).complete()


@pytest.mark.django_db(transaction=True)
def test_whoever_is_sending_a_job_back_is_not_waited_for_and_loses_nothing(ada: Bot, olga: Any) -> None:
    lease = take_one(ada)
    lease.fail(retry=False)
    make_older(lease, 31 * DAY)
    other = ended(ada, 31)
    with racers() as run, transaction.atomic():
        assert lifecycle.retry([lease.id], by=By.operator(olga))
        assert run.go(retention.prune).result(60) == 1
    assert left() == {lease.id}
    assert lease.job.status == JobStatus.PENDING
    assert other.id not in left()
    assert retention.prune() == 0


@pytest.mark.django_db(transaction=True)
def test_a_late_report_of_a_job_that_is_being_deleted_fails_nothing(ada: Bot, olga: Any) -> None:
    lease = take_one(ada)
    lifecycle.cancel([lease.id], by=By.operator(olga))
    make_older(lease, 31 * DAY)
    JobEvent.objects.update(at=timezone.now() - timedelta(days=31))
    with racers() as run, transaction.atomic():
        assert retention.prune() == 1
        # The job is there still for everybody else.
        outcome = run.go(lease.complete).result(60)
    assert lease.id in outcome.rejected
    assert not JobEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_job_to_whose_history_somebody_adds_stays_for_now(ada: Bot, olga: Any) -> None:
    lease = take_one(ada)
    lifecycle.cancel([lease.id], by=By.operator(olga))
    make_older(lease, 31 * DAY)
    with racers() as run, transaction.atomic():
        lease.complete()
        assert run.go(retention.prune).result(60) == 0
    assert set(JobEvent.objects.values_list("verb", flat=True)) == {"cancel", "late"}
    assert retention.prune() == 1
    assert not JobEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_at_once_share_the_work(ada: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH_SIZE", 3)
    for _ in range(20):
        ended(ada, 31)
    with racers() as run:
        counts = [one.result(60) for one in [run.go(retention.prune) for _ in range(3)]]
    assert sum(counts) + retention.prune() == 20
    assert not left()


# --- Figures ---------------------------------------------------------------------------------------------------


def test_nothing_goes_before_all_figures_have_it(ada: Bot) -> None:
    now = timezone.now()
    lease = take_one(ada)
    keep("sum", seconds=0)
    lease.complete()
    assert retention.prune() == 0
    later = now + timedelta(minutes=5)
    add_up(later)
    # Something that ended before the job may still be committed: the job stays, and is not counted again.
    stretch = {"since": str(now - timedelta(minutes=3)), "until": str(later), "snapshot": "10:10:"}
    RollupState.objects.update(reopened=[stretch])
    assert retention.prune() == 0
    RollupState.objects.update(reopened=[])
    assert retention.prune() == 1
    add_up(now + timedelta(minutes=10))
    for span in (Span.TOTAL, Span.HOUR, Span.BOT_DAY):
        assert JobRollup.objects.get(span=span, kind="sum").succeeded == 1


def test_without_figures_nothing_goes(ada: Bot) -> None:
    ended(ada, 31)
    RollupState.objects.all().delete()
    assert rollup.complete_until() is None
    assert retention.prune() == 0


def test_no_counter_falls_and_none_stops_rising(ada: Bot) -> None:
    def counters() -> dict[str, Any]:
        return JobRollup.objects.values().get(span=Span.TOTAL, kind="sum")

    now = timezone.now()
    take_one(ada).complete()
    take_one(ada).fail(retry=False)
    keep("sum", seconds=0)
    add_up(now + timedelta(minutes=5))
    before = counters()
    assert retention.prune() == 2
    add_up(now + timedelta(minutes=10))
    assert counters() == before
    take_one(ada)
    add_up(now + timedelta(minutes=15))
    assert counters()["leases_given"] == before["leases_given"] + 1 == 3


@pytest.mark.parametrize("keep_for", [MAX_DURATION, timedelta(0)])
def test_no_length_of_time_is_too_much(ada: Bot, keep_for: timedelta) -> None:
    ended(ada, 31)
    JobKind.objects.update(keep_for=keep_for)
    assert retention.prune() == (0 if keep_for else 1)


# --- The sweep -------------------------------------------------------------------------------------------------


def test_a_full_sweep_prunes_and_says_so_and_no_other_does(ada: Bot, caplog: pytest.LogCaptureFixture) -> None:
    ended(ada, 31)
    ended(ada, 31, "divide")
    assert (sweep(dry_run=True).pruned, sweep(kind="sum").pruned) == (0, 0)
    assert len(left()) == 2
    with caplog.at_level(logging.INFO, logger="jobsite.jobs"):
        swept = sweep()
    assert swept.pruned == 2
    assert swept.counts()["pruned"] == SweepRun.objects.get().counts["pruned"] == 2
    (line,) = [record for record in caplog.records if "pruned" in record.getMessage()]
    assert line.msg == line.msg | {"event": "pruned 2 jobs", "jobs": 2, "kinds": {"sum": 1, "divide": 1}}  # type: ignore[operator]
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="jobsite.jobs"):
        assert sweep().pruned == 0
    assert not caplog.records


def test_a_sweep_deletes_so_many_and_the_next_goes_on(ada: Bot, settings: Any, monkeypatch: Any) -> None:
    settings.PRUNE_MOST = 5
    monkeypatch.setattr(retention, "BATCH_SIZE", 2)
    oldest = [ended(ada, 40 - n).id for n in range(4)]
    least = [ended(ada, 31, "divide").id for n in range(3)]
    asked: list[int] = []
    verb = lifecycle.prune

    def watched(kind: str, **how: Any) -> Any:
        asked.append(how["most"])
        return verb(kind, **how)

    monkeypatch.setattr(lifecycle, "prune", watched)
    assert sweep().pruned == 5
    # What is longest overdue comes first, and no transaction has more than a batch.
    assert not left() & set(oldest)
    assert len(left() & set(least)) == 2
    assert max(asked) == 2
    assert (sweep().pruned, sweep().pruned) == (2, 0)


def test_nought_leaves_it_all_to_the_command(ada: Bot, settings: Any) -> None:
    settings.PRUNE_MOST = 0
    ended(ada, 31)
    assert sweep().pruned == 0


def test_the_figures_of_batches_are_added_up() -> None:
    whole = Swept(pruned=1)
    whole.add(Swept(pruned=2))
    assert whole.counts()["pruned"] == 3


def test_instances_go_a_week_after_they_were_last_seen_unless_they_hold_a_job(ada: Bot) -> None:
    for name in ("old and gone", "old and holding", "young"):
        lifecycle.hello(ada, instance=name, identity=name)
    enqueue_one()
    lifecycle.claim(ada, instance="old and holding")
    lifecycle.goodbye(ada, "old and gone")
    ada.instances.exclude(name="young").update(last_seen_at=timezone.now() - timedelta(days=8))
    sweep()
    assert set(ada.instances.values_list("name", flat=True)) == {"old and holding", "young"}
