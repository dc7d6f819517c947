"""The common case is one statement. It does nothing where the schedule was changed, or anything is special."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.db.models.expressions import RawSQL

from jobs.enqueue.scheduled import DueMoment, enqueue_scheduled
from jobs.enqueue.statements import SQL
from jobs.models import Job, JobKind, Schedule, ScheduleOccurrence
from jobs.schedules import changes, firing
from tests.cast import enqueue_one
from tests.jobs.schedules.rules import SECONDS, fire, jobs_of, ledger, off_for

pytestmark = pytest.mark.django_db


@pytest.fixture
def due() -> Schedule:
    """A schedule of a kind that is there, with a moment five seconds ago."""
    JobKind.objects.create(name="report", max_attempts=7)
    return off_for(5 * SECONDS, payload={"a": None}, priority=3)


def version(schedule: Schedule) -> str:
    found = Schedule.objects.annotate(version=RawSQL("xmin::text", ())).get(pk=schedule.pk)
    return str(found.version)  # type: ignore[attr-defined]


def moment_of(schedule: Schedule, seen: str) -> DueMoment:
    assert schedule.next_at is not None
    return DueMoment(schedule.pk, seen, schedule.kind, schedule.next_at + timedelta(minutes=1))


def fired(schedule: Schedule, seen: str) -> bool:
    return enqueue_scheduled([moment_of(schedule, seen)]).get(schedule.pk, False)


def test_it_makes_the_job_the_occurrence_and_the_next_moment(due: Schedule) -> None:
    assert fired(due, version(due))
    (job,) = jobs_of()
    assert (job.payload, job.priority, job.max_attempts, job.scheduled_for) == ({"a": None}, 3, 7, due.next_at)
    row = ScheduleOccurrence.objects.get()
    assert (row.fate, row.due_at, row.until_at, row.count) == ("enqueued", due.next_at, due.next_at, 1)
    assert row.job_id == job.pk
    assert Schedule.objects.get().next_at == job.scheduled_for + timedelta(minutes=1)


def move() -> None:
    """As firing does. In a transaction of its own, here within the test's: that is what the row's version is."""
    with transaction.atomic():
        Schedule.objects.update(next_at=F("next_at") + timedelta(hours=1))


SINCE: dict[str, Callable[[], Any]] = {
    "it was paused": lambda: changes.pause("nightly"),
    "it was skipped": lambda: changes.skip("nightly"),
    "it was run by hand": lambda: changes.run_now("nightly"),
    "it was deleted": lambda: changes.delete("nightly"),
    "it was fired": move,
}


@pytest.mark.parametrize("since", SINCE)
def test_it_does_nothing_to_one_that_changed_since_it_was_read(due: Schedule, since: str) -> None:
    Schedule.objects.update(next_at=due.next_at + timedelta(hours=1))
    seen = version(due)
    SINCE[since]()
    before = Job.objects.count(), ScheduleOccurrence.objects.count()
    assert not fired(due, seen)
    assert (Job.objects.count(), ScheduleOccurrence.objects.count()) == before


def test_it_does_nothing_where_something_is_special(due: Schedule, settings: Any) -> None:
    JobKind.objects.update(max_pending=10)
    assert not fired(due, version(due))
    JobKind.objects.update(max_pending=None)
    settings.MAX_PENDING = 1
    enqueue_one("mail", key="k")
    assert not fired(due, version(due))
    settings.MAX_PENDING = 0
    enqueue_one("report", key="k")
    Schedule.objects.update(key="k")
    assert not fired(due, version(due))
    Schedule.objects.update(key="")
    changes.run_now("nightly")
    assert not fired(due, version(due))
    Schedule.objects.update(overlap="allow", next_at=due.next_at + SECONDS)
    assert fired(due, version(due))


def test_a_new_kind_is_made_otherwise() -> None:
    due = off_for(5 * SECONDS, kind="new")
    assert not fired(due, version(due))
    fire()
    assert ledger() == [("enqueued", 1)] and JobKind.objects.get().name == "new"


def test_it_is_the_common_case(due: Schedule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firing, "settle_part", None)
    fire()
    assert ledger() == [("enqueued", 1)]


def test_several_are_one_statement_and_each_has_its_own_answer(due: Schedule) -> None:
    others = {name: off_for(5 * SECONDS, name) for name in ("first", "second", "changed", "held up")}
    enqueue_one("mail")
    Job.objects.update(schedule="held up")
    moments = [moment_of(one, version(one)) for one in (due, *others.values())]
    # What is due is decided by the change itself.
    changes.pause("changed")
    done = enqueue_scheduled(moments)
    assert done == {due.pk: True, others["first"].pk: True, others["second"].pk: True, others["held up"].pk: False}
    for name in ("nightly", "first", "second", "changed"):
        (job,) = jobs_of(name)
        assert ledger(name) == [("enqueued", 1)]
        assert Schedule.objects.get(name=name).next_at == job.scheduled_for + timedelta(minutes=1)
    assert ledger("held up") == []


def test_all_that_are_due_are_fired_in_one(due: Schedule, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def counted(moments: Sequence[DueMoment]) -> dict[int, bool]:
        asked.append(len(moments))
        return enqueue_scheduled(moments)

    monkeypatch.setattr(firing, "enqueue_scheduled", counted)
    for n in range(19):
        off_for(5 * SECONDS, f"schedule-{n}", key="k" if n == 18 else None)
    fire()
    # One with a key is alone: it may wait for another producer.
    assert asked == [19, 1] and Job.objects.count() == ScheduleOccurrence.objects.count() == 20


def test_after_a_fault_each_is_fired_by_itself(due: Schedule, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = off_for(5 * SECONDS, "faulty")
    # A row that should not be there.
    faulty.occurrences.create(due_at=faulty.next_at, until_at=faulty.next_at, fate="missed")
    fire()
    assert len(jobs_of()) == 1 and not jobs_of("faulty")
    assert Schedule.objects.get(name="faulty").next_at == faulty.next_at


def test_it_reads_by_its_indexes(due: Schedule) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        params = {"schedules": [due.pk], "versions": [version(due)], "following": [due.next_at]}
        cursor.execute("EXPLAIN " + SQL.text("enqueue_scheduled"), params)
        plan = str(cursor.fetchall())
    assert "job_of_schedule" in plan and "jobs_schedule_pkey" in plan
