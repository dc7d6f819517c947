"""Operators edit pending jobs, retry one with changes, release to another bot, and take back what they did."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from bots.audit import Via, Who
from bots.models import AuditEntry, Bot
from jobs import lifecycle
from jobs.errors import NotTakenBack
from jobs.lifecycle import By, Edited, corrections
from jobs.models import Job, JobEvent
from jobs.states import JobStatus, Verb
from jobsite.lib.errors import NotFound
from tests.cast import enqueue_one, take_one

pytestmark = pytest.mark.django_db

LATER = timezone.now() + timedelta(hours=3)


@pytest.fixture
def by(olga: Any) -> By:
    return By.operator(Who("olga", Via.CONSOLE))


# --- Edit -----------------------------------------------------------------------------------------------------


def test_a_pending_job_gets_another_time_and_payload(by: By) -> None:
    job = enqueue_one(payload={"customer": 17})
    (change,) = lifecycle.edit([job.pk], edited=Edited.to(LATER, {"customer": 18}), by=by, reason="the wrong one")
    assert (change.previous_status, change.status) == ("pending", "pending")
    job.refresh_from_db()
    assert (job.run_at, job.payload) == (LATER, {"customer": 18})
    event = JobEvent.objects.get(verb=Verb.EDIT)
    assert (event.by, event.reason, event.detail["payload"]) == ("olga", "the wrong one", True)
    assert len(event.detail["run_at"]) == 2
    entry = AuditEntry.objects.get(verb="edit")
    assert entry.after["payload"] == "changed"
    assert "customer" not in f"{entry.before}{entry.after}"


def test_what_is_not_given_stays_and_what_is_the_same_is_no_change(by: By) -> None:
    job = enqueue_one(payload={"customer": 17})
    assert lifecycle.edit([job.pk], edited=Edited.to(None, {"customer": 17}), by=by) == []
    assert lifecycle.edit([job.pk], edited=Edited.to(None, None), by=by)
    job.refresh_from_db()
    assert (job.payload, job.run_at) == (None, job.run_at)
    assert JobEvent.objects.filter(verb=Verb.EDIT).count() == 1


def test_a_job_that_a_bot_holds_is_not_edited(ada: Bot, by: By) -> None:
    lease = take_one(ada)
    assert lifecycle.edit([lease.id], edited=Edited.to(LATER), by=by) == []
    assert not JobEvent.objects.exists()


def test_a_job_that_is_due_now_is_claimed(ada: Bot, by: By) -> None:
    job = enqueue_one(run_at=LATER)
    assert lifecycle.claim(ada) == []
    lifecycle.edit([job.pk], edited=Edited.to(timezone.now()), by=by)
    assert [claimed.id for claimed in lifecycle.claim(ada)] == [job.pk]


def test_a_job_is_retried_with_changes_in_one_go(ada: Bot, by: By) -> None:
    lease = take_one(ada, payload={"customer": 17})
    lease.fail("no customer 17", retry=False)
    (change,) = lifecycle.retry_with(lease.id, edited=Edited.to(None, {"customer": 18}), by=by, reason="a typo")
    assert (change.previous_status, lease.job.status, lease.job.payload) == ("failed", "pending", {"customer": 18})
    assert [event.verb for event in lease.job.events.order_by("id")] == ["fail", "retry", "edit"]
    assert lifecycle.retry_with(lease.id, edited=Edited.to(LATER), by=by) == []
    assert lease.job.run_at != LATER


# --- Release to another bot -----------------------------------------------------------------------------------


def test_a_job_is_released_to_another_bot(ada: Bot, bob: Bot, by: By) -> None:
    lease = take_one(ada)
    lifecycle.release([lease.id], by=by, reason="ada hangs", to_another=True)
    assert lifecycle.claim(ada) == []
    assert [claimed.id for claimed in lifecycle.claim(bob)] == [lease.id]


def test_after_a_while_the_same_bot_may_have_it(ada: Bot, by: By) -> None:
    lease = take_one(ada)
    lifecycle.release([lease.id], by=by, to_another=True)
    Job.objects.update(not_for_until=timezone.now() - timedelta(seconds=1))
    assert [claimed.id for claimed in lifecycle.claim(ada)] == [lease.id]


def test_another_release_is_for_anybody(ada: Bot, by: By) -> None:
    lease = take_one(ada)
    lifecycle.release([lease.id], by=by)
    assert [claimed.id for claimed in lifecycle.claim(ada)] == [lease.id]


# --- Take back ------------------------------------------------------------------------------------------------


def act(verb: str) -> int:
    return AuditEntry.objects.filter(verb=verb).latest("pk").pk


def test_a_cancel_of_jobs_that_nobody_held_is_taken_back_as_one_act(ada: Bot, by: By) -> None:
    held, first, second = take_one(ada), enqueue_one(priority=3), enqueue_one(run_at=LATER)
    lifecycle.cancel([held.id, first.pk, second.pk], by=by, reason="the wrong filter")
    before = Job.objects.get(pk=first.pk).run_at
    changes = lifecycle.take_back(act("cancel"), by=by, reason="oops")
    assert [change.id for change in changes] == [first.pk, second.pk]
    assert held.job.status == JobStatus.CANCELLED
    one = Job.objects.get(pk=first.pk)
    assert (one.status, one.run_at, one.priority, one.finished_at) == ("pending", before, 3, None)
    assert Job.objects.get(pk=second.pk).run_at == LATER
    entry = AuditEntry.objects.get(verb="take_back")
    assert (entry.reason, entry.object_name) == ("oops", "2 jobs")
    # Once.
    assert lifecycle.take_back(act("cancel"), by=by) == []


def test_a_change_of_priority_is_taken_back_to_what_each_job_had(ada: Bot, by: By) -> None:
    low, high, taken = enqueue_one(priority=1), enqueue_one(priority=8), enqueue_one(priority=2)
    lifecycle.prioritise([low.pk, high.pk, taken.pk], priority=9, by=by)
    lifecycle.prioritise([taken.pk], priority=5, by=by)
    entry = AuditEntry.objects.filter(verb="prioritise").earliest("pk").pk
    assert len(lifecycle.take_back(entry, by=by)) == 2
    assert [Job.objects.get(pk=job.pk).priority for job in (low, high, taken)] == [1, 8, 5]
    event = JobEvent.objects.filter(job=low, verb=Verb.TAKE_BACK).get()
    assert (event.detail["of"], event.detail["from"], event.detail["to"]) == ("prioritise", 9, 1)


def test_a_job_whose_key_another_has_now_stays_cancelled(by: By) -> None:
    job = enqueue_one(key="order-7", unique="unfinished")
    lifecycle.cancel([job.pk], by=by)
    enqueue_one(key="order-7", unique="unfinished")
    assert lifecycle.take_back(act("cancel"), by=by) == []
    job.refresh_from_db()
    assert job.status == JobStatus.CANCELLED


def test_a_job_that_was_retried_since_is_left_alone(ada: Bot, by: By) -> None:
    job = enqueue_one()
    lifecycle.cancel([job.pk], by=by)
    entry = act("cancel")
    lifecycle.retry([job.pk], by=by)
    lifecycle.cancel([job.pk], by=by)
    assert lifecycle.take_back(entry, by=by) == []


def test_only_some_acts_are_taken_back_and_only_for_a_day(ada: Bot, by: By, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = take_one(ada)
    lifecycle.release([lease.id], by=by)
    with pytest.raises(NotTakenBack, match="only cancel and prioritise"):
        lifecycle.take_back(act("release"), by=by)
    lifecycle.cancel([lease.id], by=by)
    monkeypatch.setattr(corrections, "TAKEN_BACK_WITHIN", timedelta(0))
    with pytest.raises(NotTakenBack, match="24 hours"):
        lifecycle.take_back(act("cancel"), by=by)
    with pytest.raises(NotFound):
        lifecycle.take_back(10**9, by=by)


def test_an_act_in_several_steps_is_one_and_nobody_elses_is_of_it(by: By, olga: Any, vera: Any) -> None:
    jobs = [enqueue_one(priority=n).pk for n in range(4)]
    ours, theirs = (By.operator(Who(name, Via.CONSOLE, act=7)) for name in ("olga", "vera"))
    lifecycle.cancel(jobs[:2], by=ours)
    lifecycle.cancel(jobs[2:3], by=ours)
    lifecycle.cancel(jobs[3:], by=theirs)
    entry = AuditEntry.objects.filter(by="olga").latest("pk")
    assert lifecycle.number_of_jobs(entry) == 3
    assert [lifecycle.jobs_of(one) for one in lifecycle.entries_of(entry)] == [jobs[:2], jobs[2:3]]
    lifecycle.cancel([enqueue_one().pk], by=by)
    alone = AuditEntry.objects.latest("pk")
    assert (lifecycle.number_of_jobs(alone), list(lifecycle.entries_of(alone))) == (1, [alone])


def a_day_ago(entry: AuditEntry) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE bots_auditentry SET at = at - interval '25 hours' WHERE id = %s", [entry.pk])


def test_an_act_can_be_undone_whole_for_a_day_after_its_last_step(by: By) -> None:
    ours = By.operator(Who("olga", Via.CONSOLE, act=7))
    jobs = [enqueue_one().pk for _ in range(2)]
    for pk in jobs:
        lifecycle.cancel([pk], by=ours)
    first, last = AuditEntry.objects.filter(act=7).order_by("pk")
    a_day_ago(first)
    assert [lifecycle.take_back(entry.pk, by=by)[0].id for entry in (first, last)] == jobs
    a_day_ago(last)
    with pytest.raises(NotTakenBack, match="24 hours"):
        lifecycle.reversible(last.pk)
