"""People change, pause, skip and run schedules; what is due is decided first, and the ledger says why."""

from datetime import timedelta
from typing import Any

import pytest

from bots.audit import Who
from bots.models import AuditEntry
from jobs.errors import NothingToSkip, TooManyPending
from jobs.models import JobKind, Schedule, ScheduleOccurrence
from jobs.schedules import changes
from jobs.schedules.definition import ScheduleIn, written
from jobsite.lib.clock import database_now
from jobsite.lib.errors import Invalid, NotFound
from tests.cast import enqueue_one
from tests.jobs.schedules.rules import a_schedule, fire, jobs_of, last, ledger, off_for

pytestmark = pytest.mark.django_db

SECONDS, MINUTES, DAYS = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
OLGA = Who("olga")


def edited(**given: Any) -> changes.Put:
    """The schedule `nightly` with these fields changed."""
    there = written(Schedule.objects.get(name="nightly"))
    return changes.put("nightly", ScheduleIn.model_validate(there | given).to_values(), by=OLGA)


def test_the_same_again_changes_nothing_however_often() -> None:
    schedule = a_schedule(cron="0 3 * * *", time_zone="Europe/Berlin", payload={"a": [1]}, catch_up="all")
    row, entries = Schedule.objects.values().get(), AuditEntry.objects.count()
    for _ in range(60):
        assert edited().changed == ()
    assert Schedule.objects.values().get() == row and AuditEntry.objects.count() == entries
    assert schedule.next_at == row["next_at"]


def test_an_edit_of_the_payload_moves_nothing() -> None:
    schedule = a_schedule()
    done = edited(payload={"b": 2}, priority=3)
    assert done.changed == ("payload", "priority")
    assert Schedule.objects.get().next_at == schedule.next_at
    entry = AuditEntry.objects.get(verb="change")
    assert entry.before == {"payload": "[hidden]", "priority": 0} and entry.after == {
        "payload": "[hidden]",
        "priority": 3,
    }


@pytest.mark.parametrize(("before", "after"), [({"a": 1}, {"a": True}), ({"a": [0]}, {"a": [False]}), (1, True)])
def test_true_is_another_payload_than_one(before: Any, after: Any) -> None:
    a_schedule(payload=before)
    assert edited(payload=after).changed == ("payload",)
    assert type(Schedule.objects.get().payload) is type(after)
    assert edited(payload=after).changed == ()


def test_an_edit_of_the_timing_computes_the_next_moment_and_forgets_a_skip() -> None:
    a_schedule(cron="0 3 1 1 *")
    changes.skip("nightly")
    edited(cron="0 4 1 1 *")
    next_at = Schedule.objects.get().next_at
    assert next_at is not None and (next_at.hour, next_at - database_now() < timedelta(days=366)) == (4, True)
    assert not ScheduleOccurrence.objects.exists()


@pytest.mark.parametrize("given", [{"payload": {"new": True}}, {"every": 90}, {"overlap": "allow"}])
def test_an_edit_in_the_second_in_which_it_fires_gives_one_job(given: dict[str, Any]) -> None:
    schedule = off_for(SECONDS)
    edited(**given)
    fire()
    (job,) = jobs_of()
    assert (job.scheduled_for, job.payload) == (schedule.next_at, {})
    assert ledger() == [("enqueued", 1)]


def test_a_pause_skips_and_is_one_row() -> None:
    schedule = off_for(30 * MINUTES + SECONDS)
    Schedule.objects.update(paused=True, pause_reason="the ledger is moved")
    fire()
    assert ledger() == [("skipped", 31)] and last().reason == "Paused: the ledger is moved"
    ScheduleOccurrence.objects.update(
        due_at=schedule.next_at - 3 * 60 * MINUTES, until_at=schedule.next_at - 60 * MINUTES
    )
    Schedule.objects.update(next_at=schedule.next_at)
    fire()
    assert ledger() == [("skipped", 62)] and not jobs_of()


def test_a_pause_ends_by_itself_and_what_comes_after_is_made() -> None:
    schedule = off_for(5 * MINUTES + SECONDS, overlap="allow")
    Schedule.objects.update(paused=True, paused_until=schedule.next_at + 4 * MINUTES + 30 * SECONDS)
    fire()
    assert ledger() == [("skipped", 5), ("enqueued", 1)]
    schedule.refresh_from_db()
    assert (schedule.paused, schedule.paused_until) == (False, None)


def test_a_pause_that_ends_between_two_moments_is_over_at_once() -> None:
    a_schedule(cron="0 3 1 1 *")
    Schedule.objects.update(paused=True, paused_until=database_now() - SECONDS)
    fire()
    assert not Schedule.objects.get().paused and not ledger()


def test_pausing_and_resuming_are_recorded_once_with_who_and_why() -> None:
    a_schedule()
    for _ in range(2):
        changes.pause("nightly", until=database_now() + DAYS, reason="move", by=OLGA)
    schedule = Schedule.objects.get()
    assert (schedule.paused, schedule.pause_reason) == (True, "move")
    for _ in range(2):
        changes.resume("nightly", by=OLGA)
    schedule.refresh_from_db()
    assert (schedule.paused, schedule.paused_until, schedule.pause_reason) == (False, None, "")
    verbs = list(AuditEntry.objects.filter(by="olga").order_by("id").values_list("verb", "reason"))
    assert verbs == [("pause", "move"), ("pause", "move"), ("resume", "")]


def test_a_pause_until_a_moment_that_has_passed_is_refused() -> None:
    a_schedule()
    with pytest.raises(Invalid, match="until"):
        changes.pause("nightly", until=database_now() - SECONDS)


def test_what_was_due_before_a_resume_is_skipped_and_what_comes_is_made() -> None:
    off_for(10 * SECONDS)
    Schedule.objects.update(paused=True)
    changes.resume("nightly")
    fire()
    assert ledger() == [("skipped", 1)] and not jobs_of()


def test_a_skipped_moment_has_its_row_at_once() -> None:
    schedule = a_schedule()
    changes.skip("nightly", reason="a holiday", by=OLGA)
    changes.skip("nightly", by=OLGA)
    assert ledger() == [("skipped", 1), ("skipped", 1)]
    first = ScheduleOccurrence.objects.order_by("due_at")[0]
    assert (first.due_at, first.reason) == (schedule.next_at, "Skipped by olga: a holiday")
    assert Schedule.objects.get().next_at == schedule.next_at + 2 * MINUTES


def test_where_nothing_is_to_come_nothing_can_be_skipped() -> None:
    a_schedule()
    Schedule.objects.update(next_at=None)
    with pytest.raises(NothingToSkip, match="nightly"):
        changes.skip("nightly")


def test_run_now_ignores_pause_and_overlap_and_says_so() -> None:
    a_schedule()
    changes.run_now("nightly", reason="we need it", by=OLGA)
    (job,) = jobs_of()
    assert (last().fate, last().reason) == ("enqueued", "Run now by olga: we need it.")
    changes.pause("nightly", reason="move", by=OLGA)
    changes.run_now("nightly", by=OLGA)
    assert last().reason == f"Run now by olga, although it is paused (move), while job {job.pk} had not ended."
    assert len(jobs_of()) == 2 and jobs_of()[1].scheduled_for == last().due_at
    assert AuditEntry.objects.filter(verb="run", by="olga").count() == 2


def test_run_now_says_which_job_has_its_key_and_that_the_queue_is_full() -> None:
    there = enqueue_one("report", key="k")
    a_schedule(key="k")
    row = changes.run_now("nightly")
    assert (row.fate, row.job_id) == ("skipped", there.pk) and not jobs_of()
    edited(key=None)
    JobKind.objects.filter(name="report").update(max_pending=1)
    with pytest.raises(TooManyPending):
        changes.run_now("nightly")
    assert ScheduleOccurrence.objects.count() == 1


def test_a_deleted_schedule_leaves_its_jobs() -> None:
    off_for(5 * SECONDS)
    fire()
    changes.delete("nightly", by=OLGA)
    assert not Schedule.objects.exists() and not ScheduleOccurrence.objects.exists()
    assert len(jobs_of()) == 1
    entry = AuditEntry.objects.get(verb="delete")
    assert (entry.object_type, entry.object_name, entry.before["every"]) == ("schedule", "nightly", "P0DT00H01M00S")


@pytest.mark.parametrize("act", [changes.pause, changes.resume, changes.skip, changes.run_now, changes.delete])
def test_a_schedule_that_is_not_there_is_named(act: Any) -> None:
    with pytest.raises(NotFound, match="'weekly'"):
        act("weekly")


def test_old_rows_of_the_ledger_are_deleted_after_ninety_days() -> None:
    from jobs.schedules.ledger import prune

    off_for(5 * SECONDS)
    fire()
    assert prune() == 0
    ScheduleOccurrence.objects.update(due_at=database_now() - 95 * DAYS, until_at=database_now() - 89 * DAYS)
    assert prune() == 0
    ScheduleOccurrence.objects.update(until_at=database_now() - 91 * DAYS)
    assert prune() == 1
