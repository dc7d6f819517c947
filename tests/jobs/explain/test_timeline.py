"""A job's page tells its story from enqueue to now, and a kind's page its policy in words."""

from datetime import timedelta

import pytest

from jobs import lifecycle
from jobs.explain import policy, timeline
from jobs.lifecycle import By
from jobs.models import Job, JobKind
from jobsite.lib import json_view
from tests.cast import take_one

pytestmark = pytest.mark.django_db


def titles(lease):
    job = Job.objects.select_related("claimed_by", "finished_by").get(pk=lease.id)
    return [step.title for step in timeline.timeline(job, job.events.select_related("bot").order_by("id"))]


def test_a_timeline_has_each_attempt_its_bot_its_end_and_late_results(ada, bob, olga):
    lease = take_one(ada)
    lease.heartbeat(progress=40)
    lifecycle.release([lease.id], by=By.operator(olga), reason="ada hangs")
    lease.complete("late")
    (claimed,) = lifecycle.claim(bob)
    lifecycle.complete([lifecycle.Report(claimed.id, claimed.attempt, result=1)], by=By.bot(bob))
    assert titles(lease) == [
        "enqueued", "claimed by ada", "last sign of life", "attempt 1 released by olga",
        "attempt 1 reported late by ada", "claimed by bob", "completed by bob",
    ]  # fmt: skip


def test_a_kinds_policy_is_in_words():
    said = policy.policy(JobKind(name="sum", when_silent="fail", heartbeat_within=timedelta(minutes=1)))
    assert said["heartbeat_within"] == "No heartbeat for 1 m: its bot is potentially stuck. For 3 m: unhealthy."
    assert said["when_silent"] == "After 3 m of silence the sweep fails the job."


def test_json_is_shown_escaped_and_what_is_long_is_folded():
    said = json_view.fold({"a": "<script>", "deep": {"list": list(range(40))}})
    assert "&lt;script&gt;" in said and "<script>" not in said
    assert "<details><summary>[ 40 entries ]</summary>" in said
    assert "<pre" in json_view.fold(list(range(10_000)))
