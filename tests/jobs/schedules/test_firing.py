"""A schedule's moment becomes a job, a row of its ledger and the next moment, together."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection
from psycopg.errors import LockNotAvailable

from bots.audit import COMMAND
from jobs import lifecycle
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.enqueue.scheduled import DueMoment
from jobs.lifecycle import By, Report
from jobs.models import Job, JobKind, Schedule, ScheduleOccurrence
from jobs.schedules import changes, firing
from jobs.schedules.definition import ScheduleIn, written
from jobs.schedules.timing import Timing
from jobs.sweep.run import sweep
from jobsite.lib.clock import database_now
from tests.cast import bot_named
from tests.jobs.schedules.rules import a_schedule, due_at, fire, jobs_of, last, ledger, off_for

pytestmark = pytest.mark.django_db

SECONDS, MINUTES, DAYS = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)


def test_a_moment_makes_a_job_that_says_whose_it_is() -> None:
    schedule = off_for(5 * SECONDS, payload={"of": "yesterday"}, priority=7, key="report")
    fire()
    (job,) = jobs_of()
    assert (job.kind_id, job.payload, job.priority, job.key) == ("report", {"of": "yesterday"}, 7, "report")
    at = schedule.next_at
    assert (job.schedule, job.scheduled_for, job.status) == ("nightly", at, "pending")
    assert (last().fate, last().due_at, last().until_at, last().job_id) == ("enqueued", at, at, job.pk)
    schedule.refresh_from_db()
    assert schedule.next_at == at + MINUTES


def test_nothing_is_made_before_its_time() -> None:
    a_schedule()
    a_schedule("early", cron="0 3 1 1 *")
    fire()
    assert not Job.objects.exists() and not ScheduleOccurrence.objects.exists()


def test_the_sweep_fires_as_well() -> None:
    off_for(5 * SECONDS)
    sweep()
    sweep()
    assert len(jobs_of()) == 1


def test_a_dry_run_of_the_sweep_fires_nothing() -> None:
    off_for(5 * SECONDS)
    sweep(dry_run=True)
    assert not jobs_of()


def test_two_weeks_off_make_one_job_and_one_row_of_what_was_missed() -> None:
    off_for(14 * DAYS - 2 * SECONDS, every=4, catch_up_within=15 * 86400)
    fire()
    assert len(jobs_of()) == 1
    assert ledger()[0][0] == "missed" and ledger()[0][1] > 300_000
    assert len(ledger()) <= 3
    assert sum(n for _, n in ledger()) == 14 * 86400 // 4


def test_two_weeks_off_of_a_cron_line_are_counted_in_parts() -> None:
    start = (datetime.now(UTC) - 14 * DAYS).replace(second=0, microsecond=0)
    due_at(start, cron="* * * * *")
    fire()
    assert len(jobs_of()) == 1
    missed, enqueued = ledger()
    assert (missed[0], enqueued[0]) == ("missed", "enqueued")
    assert missed[1] + enqueued[1] in (14 * 1440, 14 * 1440 + 1)


@pytest.mark.parametrize(
    ("catch_up", "within", "fates"),
    [
        ("last", 3600, [("missed", 2), ("caught_up", 1)]),
        ("last", 600, [("missed", 3)]),
        ("none", 3600, [("missed", 3)]),
        ("all", 3600, [("missed", 1), ("caught_up", 1), ("caught_up", 1)]),
        ("all", 86400, [("caught_up", 1)] * 3),
    ],
)
def test_late_moments_are_caught_up_or_missed(catch_up: str, within: int, fates: list[tuple[str, int]]) -> None:
    # At 75, 45 and 15 minutes ago.
    off_for(75 * MINUTES, every=1800, catch_up=catch_up, catch_up_within=within, overlap="allow")
    fire()
    assert ledger() == fates
    assert len(jobs_of()) == sum(fate == "caught_up" for fate, _ in fates)
    assert (
        "Nothing fired it within 1 m" in ScheduleOccurrence.objects.order_by("due_at")[0].reason
        or fates[0][0] == "caught_up"
    )


def test_a_two_minute_deploy_at_three_does_not_lose_the_nights_run() -> None:
    off_for(2 * MINUTES, every=86400)
    fire()
    assert ledger() == [("caught_up", 1)] and len(jobs_of()) == 1


def test_of_many_that_are_caught_up_a_transaction_takes_a_hundred(monkeypatch: pytest.MonkeyPatch) -> None:
    off_for(250 * MINUTES + SECONDS, catch_up="all", catch_up_within=86400, overlap="allow")
    off_for(5 * SECONDS, "other", overlap="queue")
    parts = []
    real = firing.settle_part

    def counted(schedule: Schedule) -> bool:
        done = real(schedule)
        parts.append((schedule.name, Job.objects.filter(schedule="nightly").count()))
        return done

    monkeypatch.setattr(firing, "settle_part", counted)
    fire()
    assert [jobs for name, jobs in parts if name == "nightly"] == [100, 200, 251]
    # The other one was not kept waiting by all of these.
    assert "other" in [name for name, _ in parts[:2]]


def test_a_gap_that_goes_on_is_one_row() -> None:
    schedule = off_for(25 * MINUTES, every=600, catch_up="none")
    fire()
    assert ledger() == [("missed", 3)]
    earlier(30 * MINUTES)
    Schedule.objects.update(next_at=schedule.next_at)
    fire()
    assert ledger() == [("missed", 6)]


def earlier(by: timedelta) -> None:
    """All rows of the ledger are so much older."""
    for row in ScheduleOccurrence.objects.order_by("due_at"):
        ScheduleOccurrence.objects.filter(pk=row.pk).update(due_at=row.due_at - by, until_at=row.until_at - by)


def test_a_taken_key_is_in_the_ledger_with_the_job_that_has_it() -> None:
    ((there, _),) = insert.enqueue([NewJob("report", {}, key="report")])
    off_for(5 * SECONDS, key="report")
    fire()
    assert (last().fate, last().job_id, last().reason) == ("skipped", there, f"Job {there} has its key report.")
    assert not jobs_of()


def test_a_full_queue_is_in_the_ledger() -> None:
    JobKind.objects.create(name="report", max_pending=1)
    insert.enqueue([NewJob("report", {})])
    off_for(5 * SECONDS)
    fire()
    assert (last().fate, last().reason) == ("missed", "Refused: too many report jobs are pending.")
    schedule = Schedule.objects.get()
    assert schedule.next_at is not None and schedule.next_at > database_now()


@pytest.mark.parametrize("overlap", ["skip", "queue", "allow"])
def test_of_several_that_are_refused_none_waits_for_a_job_that_is_not_there(overlap: str) -> None:
    JobKind.objects.create(name="report", max_pending=1)
    insert.enqueue([NewJob("report", {})])
    off_for(75 * MINUTES, every=1800, catch_up="all", catch_up_within=86400, overlap=overlap)
    fire()
    assert ledger() == [("missed", 3)] and last().reason == "Refused: too many report jobs are pending."


def test_it_ends_with_its_last_moment() -> None:
    schedule = off_for(5 * SECONDS)
    Schedule.objects.update(ends_at=schedule.next_at)
    fire()
    fire()
    assert Schedule.objects.get().next_at is None and len(jobs_of()) == 1


def test_one_with_a_fault_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    off_for(10 * SECONDS, "faulty")
    off_for(10 * SECONDS, "faulty-too", overlap="queue")
    off_for(5 * SECONDS, "good")
    real = Timing.next_after

    def faulty(timing: Timing, moment: datetime) -> datetime | None:
        if timing.anchor in anchors:
            raise ZeroDivisionError
        return real(timing, moment)

    anchors = {s.timing.anchor for s in Schedule.objects.exclude(name="good")}
    monkeypatch.setattr(Timing, "next_after", faulty)
    fire()
    assert len(jobs_of("good")) == 1 and not jobs_of("faulty")


def test_a_kind_that_somebody_has_locked_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(3):
        off_for(20 * SECONDS, f"locked-{n}", kind="mail")
    off_for(5 * SECONDS, "good")
    tried = []
    real = firing.enqueue_scheduled

    def waits(due: Sequence[DueMoment]) -> dict[int, bool]:
        kinds = {moment.kind for moment in due}
        tried.extend(kinds if len(due) == 1 else [])
        if "mail" in kinds:
            # As PostgreSQL refuses it.
            raise OperationalError from LockNotAvailable("canceling statement due to lock timeout")
        return real(due)

    monkeypatch.setattr(firing, "enqueue_scheduled", waits)
    fire()
    assert tried.count("mail") == 1 and len(jobs_of("good")) == 1


# --- Overlap ------------------------------------------------------------------------------------------------------


def again(schedule: Schedule) -> None:
    """One more moment of it, five seconds ago."""
    earlier(20 * SECONDS)
    Schedule.objects.filter(pk=schedule.pk).update(next_at=database_now() - 5 * SECONDS)
    fire()


def test_what_would_overlap_is_skipped_with_the_job_that_runs() -> None:
    schedule = off_for(5 * SECONDS)
    fire()
    again(schedule)
    again(schedule)
    (job,) = jobs_of()
    assert ledger() == [("enqueued", 1), ("skipped", 2)]
    assert (last().job_id, last().reason) == (job.pk, f"Job {job.pk} of this schedule has not ended.")


def test_what_may_overlap_runs() -> None:
    schedule = off_for(5 * SECONDS, overlap="allow")
    fire()
    again(schedule)
    assert ledger() == [("enqueued", 1)] * 2 and len(jobs_of()) == 2


def test_one_may_wait_and_starts_when_the_job_has_ended() -> None:
    schedule = off_for(5 * SECONDS, overlap="queue")
    fire()
    again(schedule)
    again(schedule)
    again(schedule)
    (first,) = jobs_of()
    assert ledger() == [("enqueued", 1), ("waiting", 1), ("skipped", 2)]
    ada = bot_named("ada")
    (claimed,) = lifecycle.claim(ada)
    fire()
    assert len(jobs_of()) == 1
    lifecycle.complete([Report(claimed.id, claimed.attempt)], by=By.bot(ada))
    fire()
    waited = ScheduleOccurrence.objects.get(reason=f"Waited for job {first.pk} to end.")
    assert (waited.fate, waited.job_id) == ("enqueued", jobs_of()[1].pk)
    assert jobs_of()[1].scheduled_for == waited.due_at


def test_one_that_waits_stays_while_its_schedule_is_paused_and_starts_under_another_rule() -> None:
    schedule = off_for(5 * SECONDS, overlap="queue")
    fire()
    again(schedule)
    changes.pause("nightly")
    given = ScheduleIn.model_validate(written(Schedule.objects.get()) | {"overlap": "allow"})
    changes.put("nightly", given.to_values())
    lifecycle.cancel([jobs_of()[0].pk], by=By.operator(COMMAND))
    fire()
    assert ledger()[-1] == ("waiting", 1)
    changes.resume("nightly")
    fire()
    assert ledger()[-1] == ("enqueued", 1)


def test_what_is_due_and_what_overlaps_is_asked_of_an_index() -> None:
    schedule = a_schedule()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        jobs = Job.objects.filter(schedule=schedule.name, status__in=("pending", "claimed", "processing"))
        assert "job_of_schedule" in jobs.exclude(schedule="").order_by().explain()
        assert "schedule_due" in Schedule.objects.due().order_by(firing.DUE_AT).explain()
