"""Why is this job where it is? A sentence, and the evidence under it, for any job: waiting, held or over."""

import re
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from bots import roster
from bots.models import Bot
from jobs import lifecycle
from jobs.explain import why as explain_why
from jobs.lifecycle import By
from jobs.lists import takers
from jobs.models import Job, JobKind, Learned
from jobs.states import Actor
from jobs.stats import learned
from jobs.stats.times import FINE
from jobs.sweep.run import sweep
from tests.cast import bot_named, enqueue_one, make_older, put_in_quarantine, take_one
from tests.jobs.schedules.rules import fire, jobs_of, off_for

pytestmark = pytest.mark.django_db


def told(job):
    """The answer for a job or a lease."""
    return explain_why.explain(Job.objects.select_related("kind", "claimed_by", "finished_by").get(pk=job.id))


def loosely(text):
    """The text without its last digit of seconds: a test may take some of them."""
    return re.sub(r"\d s\b(?! on | jobs)", "x s", text)


def why(job):
    return loosely(told(job).why)


def says(job, about):
    """What the evidence says about one thing."""
    return [loosely(found.says) for found in told(job).evidence if found.about == about]


# --- Pending --------------------------------------------------------------------------------------------------


def test_a_pending_job_that_no_bot_takes():
    bot_named("carl", kinds=["divide"])
    job = enqueue_one()
    assert why(job) == "No bot takes jobs of kind sum."
    assert says(job, "bots") == ["none takes jobs of kind sum"]


def test_a_job_that_must_be_begun_says_until_when():
    job = enqueue_one(start_by=timezone.now() + timedelta(hours=2))
    assert says(job, "to be begun")[0].startswith("at the latest in 1 h 59 m (")
    Job.objects.update(start_by=timezone.now() - timedelta(minutes=5))
    assert says(job, "to be begun")[0].startswith("5 m")


def test_a_job_of_a_schedule_says_which_and_for_when():
    off_for(timedelta(seconds=5))
    fire()
    (found,) = [found for found in told(jobs_of()[0]).evidence if found.about == "schedule"]
    assert found.says.startswith("nightly made it for ") and found.figures["schedule"] == "nightly"


def test_a_job_that_is_for_another_bot_first_says_until_when_and_under_whom_it_expired(ada, bob):
    lifecycle.hello(ada, instance="pod-1", identity="pod-1")
    lifecycle.claim(bob)
    for instance, under in (("pod-1", "ada, instance pod-1"), ("", "bob")):
        job = enqueue_one()
        lifecycle.claim(ada if instance else bob, instance=instance)
        make_older(job, 7)
        sweep()
        (found,) = says(job, "another bot first")
        assert re.fullmatch(rf"until 20\S+ \S+ UTC: its last lease was under {under}", found)
        Job.objects.filter(pk=job.pk).update(not_for_until=Now() - timedelta(seconds=1), priority=-9)
        assert says(job, "another bot first") == []
        lifecycle.cancel([job.pk], by=By(Actor.OPERATOR, "olga"))


def test_of_a_bot_with_several_instances_one_in_quarantine_leaves_it_able(ada):
    for pod in ("pod-1", "pod-2"):
        lifecycle.hello(ada, instance=pod, identity=pod)
    lifecycle.quarantine({ada.instances.get(name="pod-1").pk: "it hangs"})
    job = enqueue_one()
    assert says(job, "bots") == ["1 take its kind: 1 can take a job now, 1 of them idle"]
    lifecycle.quarantine({ada.instances.get(name="pod-2").pk: "it hangs"})
    assert says(job, "bots") == ["1 take its kind: 0 can take a job now, 0 of them idle; 1 quarantined"]


def test_a_pending_job_whose_bots_cannot_take_it_says_how_many_for_each_reason(ada, bob):
    bot_named("carl", kinds=["divide"])
    dora, emil, fred = bot_named("dora", capacity=1), bot_named("emil"), bot_named("fred", kinds=["sum"])
    take_one(dora)
    job = enqueue_one()
    roster.pause(Bot.objects.filter(pk__in=[ada.pk, bob.pk]))
    Bot.objects.filter(pk=emil.pk).update(status="down")
    # Paused as well, but in quarantine first.
    put_in_quarantine(fred)
    roster.pause(Bot.objects.filter(pk=fred.pk))
    assert why(job) == (
        "None of the bots that take its kind can take a job now: 1 quarantined, 2 paused, 1 down, 1 at capacity."
    )


def test_a_pause_is_over_when_its_time_is_and_not_at_the_next_sweep(ada):
    job = enqueue_one()
    Bot.objects.filter(pk=ada.pk).update(paused=True, paused_until=timezone.now() - timedelta(seconds=1))
    assert says(job, "bots") == ["1 take its kind: 1 can take a job now, 1 of them idle"]


def test_bots_that_may_take_it_and_ask_for_other_kinds_do_not_count(ada, bob):
    job = enqueue_one()
    lifecycle.claim(ada, kinds=["divide"])
    roster.pause(Bot.objects.filter(pk=bob.pk))
    assert why(job) == ("None of the bots that take its kind can take a job now: 1 paused, 1 asking for other kinds.")
    # One of its processes asks for it.
    lifecycle.hello(ada, instance="second", identity="pod-2")
    lifecycle.claim(ada, kinds=["divide", "sum"], instance="second")
    assert takers.takers("sum")["ready"] == 1


def test_what_a_bot_asked_for_that_is_not_seen_any_more_does_not_count(ada):
    job = enqueue_one()
    lifecycle.claim(ada, kinds=["divide"])
    ada.instances.update(last_seen_at=timezone.now() - timedelta(hours=1))
    assert says(job, "bots") == ["1 take its kind: 1 can take a job now, 1 of them idle"]


def test_a_bot_below_its_capacity_can_take_one_more(ada):
    Bot.objects.filter(pk=ada.pk).update(capacity=2)
    take_one(ada)
    job = enqueue_one()
    assert says(job, "bots") == ["1 take its kind: 1 can take a job now, 0 of them idle"]
    take_one(ada)
    assert says(job, "bots") == ["1 take its kind: 0 can take a job now, 0 of them idle; 1 at capacity"]


def test_a_pending_job_behind_others_says_behind_how_many(ada, bob):
    roster.pause(Bot.objects.filter(pk=bob.pk))
    enqueue_one(priority=1)
    enqueue_one()
    last = enqueue_one()
    enqueue_one(kind="divide", priority=9)
    assert why(last) == (
        "Jobs of its kind that go before it: 2. Bots that can take it: 1 of 2, idle: 1; others: 1 paused."
    )


def test_what_is_before_a_job_is_counted_only_so_far(ada, monkeypatch):
    monkeypatch.setattr(takers, "MAX_AHEAD", 2)
    for _ in range(4):
        job = enqueue_one()
    monkeypatch.setattr(takers.jobs_ahead, "__defaults__", (2,))
    assert says(job, "before it") == ["at least 2 due jobs of its kind"]


def test_a_pending_job_of_a_paused_kind(ada):
    job = enqueue_one()
    JobKind.objects.update(paused=True)
    assert why(job) == "Kind sum is paused, so none of its jobs is handed out."


def test_a_pending_job_whose_time_has_not_come_says_when_it_does(ada):
    at = timezone.now() + timedelta(hours=1)
    job = enqueue_one(run_at=at)
    assert "not due yet: its time comes in 59 m" in why(job)
    assert at.strftime("%Y-%m-%d %H:%M:%S UTC") in why(job)


def test_a_job_that_came_back_says_who_sent_it_and_how_its_attempts_ended(ada, bob, olga, age):
    lease = take_one(ada)
    lifecycle.release([lease.id], by=By.operator(olga), reason="ada hangs")
    assert why(lease).startswith("It was released by olga x s ago. It is the next of its kind.")
    assert says(lease, "attempts") == ["0 of 3 used; 1 not counted; released under ada"]
    lifecycle.claim(bob)
    age(lease, 7)
    sweep()
    assert why(lease).startswith("It was expired by the sweep x s ago.")
    assert says(lease, "attempts") == ["1 of 3 used; 1 not counted; expired under bob, released under ada"]


# --- Held -----------------------------------------------------------------------------------------------------


def test_a_held_job_says_by_whom_and_what_the_sweep_will_do_when(ada):
    lease = take_one(ada)
    lease.heartbeat(progress=40, note="half way")
    job = lease.job
    assert "ada has held it for x s; its last heartbeat was x s ago. All is within its limits." in why(lease)
    assert "If nothing changes, in 5 m 5x s the sweep expires the lease, and the attempt counts." in why(lease)
    assert says(lease, "progress") == ["40 %: half way"]
    assert says(lease, "limits") == ["silent after 2 m, overdue after 10 m, the installation's default"]
    stuck, back, overdue, flagged = says(lease, "next")
    at = (job.heartbeat_at + timedelta(minutes=6)).strftime("%Y-%m-%d %H:%M:%S UTC")
    assert back == f"in 5 m 5x s ({at}), silent: the sweep expires the lease, and the attempt counts"
    assert stuck.endswith("silent: its bot is potentially stuck")
    assert overdue.endswith("overdue: its bot is potentially stuck")
    assert flagged.endswith("overdue: the sweep records it in the history only")


def test_a_held_job_past_a_limit_says_so_with_the_figures(ada):
    lease = take_one(ada)
    make_older(lease, 3)
    stuck = rf"It is potentially stuck: silent for 3 m( x s)? on sum job {lease.id}, limit 2 m\."
    assert re.search(stuck, why(lease))
    make_older(lease, 4)
    assert "At its next run the sweep expires the lease, and the attempt counts." in why(lease)


def test_a_job_that_was_not_started_says_when_it_goes_back(ada):
    lease = take_one(ada, start=False)
    (then,) = says(lease, "next")
    assert then.startswith("in 4 m 5x s (")
    assert then.endswith("unstarted: the sweep expires the lease, and the attempt counts")


def test_a_held_job_at_its_last_attempt_says_that_it_would_end(ada):
    lease = take_one(ada, max_attempts=1)
    assert "the sweep fails the job: it is its last attempt." in why(lease)


def test_a_held_job_that_has_hung_others_says_whom(ada, bob):
    lease = take_one(ada, max_attempts=9)
    make_older(lease, 7)
    sweep()
    lifecycle.claim(bob)
    make_older(lease, 7)
    sweep()
    lifecycle.claim(bot_named("carl"))
    assert "the sweep fails the job: it has hung 3 bots: ada, bob, carl." in why(lease)


def test_a_kinds_policies_are_what_the_plan_says(ada):
    lease = take_one(ada)
    JobKind.objects.update(when_silent="flag", when_overdue="fail")
    plan = says(lease, "next")
    assert [step.partition("), ")[2] for step in plan] == [
        "silent: its bot is potentially stuck", "silent: the sweep records it in the history only",
        "overdue: its bot is potentially stuck", "overdue: the sweep fails the job",
    ]  # fmt: skip


def test_what_was_flagged_already_is_not_promised_again(ada):
    lease = take_one(ada)
    JobKind.objects.update(when_silent="flag", when_overdue="flag")
    make_older(lease, 7)
    assert "the sweep records it in the history only" in why(lease)
    sweep()
    assert "the sweep" not in why(lease)


def test_what_is_foreseen_is_what_the_sweep_then_does(ada):
    lease = take_one(ada, max_attempts=1)
    (foreseen,) = [found.figures for found in told(lease).evidence if found.figures.get("does") == "expire"]
    make_older(lease, 6)
    sweep()
    assert lease.job.status == foreseen["becomes"] == "failed"


# --- Finished -------------------------------------------------------------------------------------------------


def test_a_failed_job_says_with_what(ada):
    lease = take_one(ada, max_attempts=1)
    lease.fail("Traceback …\nValueError: no address")
    assert why(lease) == "Its attempts, 1, are used up. The last ended with: ValueError: no address"
    assert says(lease, "error") == ["ValueError: no address"]
    given_up = take_one(ada)
    given_up.fail("never again", retry=False)
    assert why(given_up) == "It was not to be tried again, at attempt 1 of 3. It ended with: never again"


def test_a_cancelled_and_a_completed_job_say_by_whom(ada, olga):
    cancelled, done = take_one(ada), take_one(ada)
    lifecycle.cancel([cancelled.id], by=By.operator(olga), reason="not wanted")
    done.complete(1)
    assert why(cancelled) == "olga cancelled it: not wanted."
    assert says(cancelled, "ended")[0].startswith("cancelled by olga, held by ada, x s ago (")
    assert why(done) == "ada completed it at attempt 1."
    assert says(done, "ended")[0].startswith("succeeded by ada, x s ago (")


def test_a_completed_job_says_how_long_it_ran_against_the_usual(ada):
    lease = take_one(ada)
    make_older(lease, 0.5)
    lease.complete(1)
    assert says(lease, "ran") == ["for 3x s"]
    # One other is nothing to compare with.
    learned.learn([("sum", FINE.bucket(50), 1)])
    assert says(lease, "ran") == ["for 3x s"]
    learned.learn([("sum", FINE.bucket(50), 9)])
    assert says(lease, "ran") == ["for 3x s; 10 of the last 10 sum jobs took under 1 m"]
    Learned.objects.all().delete()
    learned.learn([("sum", FINE.bucket(2), 45), ("sum", FINE.bucket(50), 5)])
    assert says(lease, "ran") == [
        "for 3x s, longer than 45 of the last 50 of its kind; 45 of the last 50 sum jobs took under x s"
    ]


def test_every_state_has_an_answer_that_is_whole(ada, olga):
    pending, held, done = enqueue_one(priority=-1), take_one(ada), take_one(ada)
    done.complete(1)
    for job in (pending, held, done):
        answer = told(job).as_dict()
        assert set(answer) == {"job", "kind", "status", "why", "evidence"}
        assert all(found["about"] and found["says"] for found in answer["evidence"])
