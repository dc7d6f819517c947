"""A job's page says why the job is where it is, and tells its story from enqueue to now."""

from datetime import timedelta

import pytest
from django.utils import timezone

from bots import roster
from bots.models import Bot
from jobs import folded, lifecycle, story
from jobs.lifecycle import By
from jobs.models import Job, JobKind
from tests.cast import enqueue_one, take_one

pytestmark = pytest.mark.django_db


def why(job):
    job = Job.objects.select_related("kind", "claimed_by", "finished_by").get(pk=getattr(job, "pk", None) or job.id)
    return story.why(job, job.events.order_by("-id").first())


def titles(lease):
    job = Job.objects.select_related("claimed_by", "finished_by").get(pk=lease.id)
    return [step.title for step in story.timeline(job, job.events.select_related("bot").order_by("id"))]


def test_a_pending_job_that_no_bot_takes(db):
    assert why(enqueue_one()) == "No bot takes jobs of kind sum."


def test_a_pending_job_with_bots_that_are_not_there(ada):
    roster.pause(Bot.objects.all())
    assert why(enqueue_one()) == "Every bot that takes this kind (1) is down, paused or in quarantine."


def test_a_pending_job_behind_others(ada):
    enqueue_one(priority=1)
    enqueue_one()
    last = enqueue_one()
    assert why(last) == ("Jobs of its kind that go before it: 2. Bots that take this kind: 1, with nothing to do: 1.")


def test_a_pending_job_of_a_paused_kind(ada):
    job = enqueue_one()
    JobKind.objects.update(paused=True)
    assert why(job) == "Kind sum is paused, so none of its jobs is handed out."


def test_a_pending_job_whose_time_has_not_come(ada):
    assert "not due yet: its time comes in 59 m" in why(enqueue_one(run_at=timezone.now() + timedelta(hours=1)))


def test_a_released_job_says_who_released_it(ada, olga):
    lease = take_one(ada)
    lifecycle.release([lease.id], by=By.operator(olga), reason="ada hangs")
    assert why(lease).startswith("It was released by olga 0 s ago. It is the next of its kind.")


def test_a_held_job_says_by_whom_and_whether_that_is_too_long(ada, age):
    lease = take_one(ada)
    assert "ada has held it for 0 s" in why(lease) and "All is within its limits." in why(lease)
    age(lease, 3)
    assert "It is potentially stuck: silent for 3 m" in why(lease)


def test_a_failed_job_says_with_what(ada):
    lease = take_one(ada, max_attempts=1)
    lease.fail("Traceback …\nValueError: no address")
    assert why(lease) == "Its attempts, 1, are used up. The last ended with: ValueError: no address"
    given_up = take_one(ada)
    given_up.fail("never again", retry=False)
    assert why(given_up) == "It was not to be tried again, at attempt 1 of 3. It ended with: never again"


def test_a_cancelled_and_a_completed_job_say_by_whom(ada, olga):
    cancelled, done = take_one(ada), take_one(ada)
    lifecycle.cancel([cancelled.id], by=By.operator(olga), reason="not wanted")
    done.complete(1)
    assert why(cancelled) == "olga cancelled it: not wanted."
    assert why(done) == "ada completed it at attempt 1."


def test_a_timeline_has_each_attempt_its_bot_its_end_and_late_results(ada, bob, olga):
    lease = take_one(ada)
    lease.heartbeat(progress=40)
    lifecycle.release([lease.id], by=By.operator(olga), reason="ada hangs")
    lease.complete("late")
    (claimed,) = lifecycle.claim(bob)
    lifecycle.complete([lifecycle.Report(claimed.id, claimed.attempt, result=1)], by=By.bot(bob))
    assert titles(lease) == [
        "enqueued", "claimed by ada", "last sign of life", "attempt 1 released by olga", "attempt 1 late result by ada",
        "claimed by bob", "completed by bob",
    ]  # fmt: skip


def test_a_kinds_policy_is_said_in_words():
    said = story.policy(JobKind(name="sum", when_silent="fail", heartbeat_within=timedelta(minutes=1)))
    assert said["heartbeat_within"] == "No heartbeat for 1 m: its bot is potentially stuck; for 3 m: unhealthy."
    assert said["when_silent"] == "After 3 m of silence the sweep ends the job as failed."


def test_json_is_shown_escaped_and_what_is_long_is_folded():
    said = folded.fold({"a": "<script>", "deep": {"list": list(range(40))}})
    assert "&lt;script&gt;" in said and "<script>" not in said
    assert "<details><summary>[ 40 entries ]</summary>" in said
    assert "<pre" in folded.fold(list(range(10_000)))
