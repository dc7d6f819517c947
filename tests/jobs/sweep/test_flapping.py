"""An instance whose jobs expire, and others then do, is quarantined; a job that hangs bot after bot ends: by name."""

import re
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.urls import reverse

from alerts.incidents import hanging
from bots import health, roster
from bots.models import Bot
from jobs import lifecycle
from jobs.explain import why
from jobs.lifecycle import By
from jobs.models import Job, JobEvent
from jobs.states import Actor, JobStatus, Verb
from jobs.sweep.run import sweep
from tests.cast import Lease, bot_named, make_older, take_one

pytestmark = pytest.mark.django_db


def hang(lease_or_job):
    """The job's bot falls silent, and the sweep comes by."""
    make_older(lease_or_job, 7)
    return sweep()


def hang_under(*bots, job=None, **fields):
    """A job that hangs each of these bots, one after the other."""
    for bot in bots:
        if job is None:
            job = take_one(bot, **fields).job
        else:
            assert claim_again(bot, job) == job.attempt + 1
        hang(job)
        job.refresh_from_db()
    return Job.objects.get(pk=job.pk)


def claim_again(bot, job):
    """The bot has this job again, without waiting until no other bot takes it; its attempt."""
    Job.objects.filter(pk=job.pk).update(not_for_until=None)
    (claimed,) = lifecycle.claim(bot)
    assert claimed.id == job.pk
    return claimed.attempt


# --- A bot ----------------------------------------------------------------------------------------------------


def quarantine_of(bot):
    """Why the bot is in quarantine; None where it is in none."""
    return next((instance.why_quarantined for instance in bot.instances.quarantined()), None)


def expire_under(bot, times, then=None, end="complete", **fields):
    """So many of the bot's jobs expire, and then end under another, if there is one; their numbers."""
    numbers = []
    for _ in range(times):
        lease = take_one(bot, **fields)
        hang(lease)
        if then is not None:
            again = Lease(then, lease.id, claim_again(then, lease.job))
            again.complete() if end == "complete" else again.fail(retry=False)
        numbers.append(lease.id)
    # It hangs, and calls nevertheless.
    lifecycle.attend(bot, "")
    sweep()
    return numbers


@pytest.mark.parametrize("end", ["complete", "fail"])
def test_three_jobs_that_expired_under_a_bot_and_then_ended_under_another_put_it_into_quarantine(ada, bob, end):
    numbers = expire_under(ada, 3, bob, end)
    named = ", ".join(map(str, numbers))
    assert quarantine_of(ada) == f"3 jobs that others then did expired under it within 1 h: {named}"
    assert quarantine_of(bob) is None


def test_as_long_as_no_other_bot_has_had_them_expiries_stay_open(ada, bob):
    lifecycle.see(bob, always=True)
    numbers = [take_one(ada) for _ in range(5)]
    for lease in numbers:
        hang(lease)
    sweep()
    assert quarantine_of(ada) is None
    assert set(Job.objects.values_list("not_for", flat=True)) == {ada.instances.get().pk}


def test_what_expired_under_another_bot_too_counts_against_the_job(ada, bob):
    carl = bot_named("carl")
    for _ in range(4):
        job = hang_under(ada, bob, max_attempts=9)
        Lease(carl, job.pk, claim_again(carl, job)).complete()
    sweep()
    assert not Bot.objects.quarantined().exists()


def test_the_only_bot_that_is_well_is_not_put_into_quarantine(ada, bob):
    leases = [take_one(ada) for _ in range(3)]
    for lease in leases:
        hang(lease)
    for lease in leases:
        Lease(bob, lease.id, claim_again(bob, lease.job)).complete()
    Bot.objects.filter(pk=bob.pk).update(paused=True)
    lifecycle.attend(ada, "")
    sweep()
    assert quarantine_of(ada) is None


def test_a_process_that_has_gone_is_not_put_into_quarantine(ada, bob):
    leases = [take_one(ada) for _ in range(3)]
    for lease in leases:
        make_older(lease, 7)
    sweep()
    for lease in leases:
        Lease(bob, lease.id, claim_again(bob, lease.job)).complete()
    sweep()
    assert quarantine_of(ada) is None


def test_a_kind_that_hung_two_bots_so_often_puts_none_into_quarantine(ada, bob):
    carl = bot_named("carl")
    leases = [take_one(bot) for bot in (ada, bob) for _ in range(3)]
    for lease in leases:
        hang(lease)
    for lease in leases:
        Lease(carl, lease.id, claim_again(carl, lease.job)).complete()
    for bot in (ada, bob):
        lifecycle.attend(bot, "")
    sweep()
    assert not Bot.objects.quarantined().exists()
    (finding,) = hanging.detect()
    assert (finding.kind, finding.reason.count("under ada"), finding.reason.count("under bob")) == ("sum", 3, 2)


def test_the_same_job_that_expired_three_times_is_named_once(ada, bob):
    job = hang_under(ada, ada, ada, max_attempts=9)
    Lease(bob, job.pk, claim_again(bob, job)).complete()
    lifecycle.attend(ada, "")
    sweep()
    assert quarantine_of(ada) == f"jobs that others then did expired under it 3 times within 1 h: {job.pk} (3 times)"


def test_those_of_several_kinds_count_together(ada, bob):
    numbers = [*expire_under(ada, 2, bob), *expire_under(ada, 1, bob, kind="divide")]
    assert quarantine_of(ada).endswith(f"within 1 h: {', '.join(map(str, numbers))}")


def test_two_are_not_enough(ada, bob):
    expire_under(ada, 2, bob)
    assert quarantine_of(ada) is None


def test_what_expired_an_hour_ago_does_not_count(ada, bob):
    expire_under(ada, 2, bob)
    JobEvent.objects.update(at=Now() - timedelta(minutes=61))
    expire_under(ada, 2, bob)
    assert quarantine_of(ada) is None


def test_what_expired_under_others_does_not_count(ada, bob):
    carl = bot_named("carl")
    expire_under(ada, 2, carl)
    expire_under(bob, 2, carl)
    assert not Bot.objects.quarantined().exists()


def test_of_a_bot_that_an_operator_has_cleared_only_later_expiries_count(ada, bob, olga):
    expire_under(ada, 3, bob)
    assert lifecycle.clear_quarantine(Bot.objects.filter(pk=ada.pk), by=By.operator(olga)) == 1
    own = ada.instances.get()
    assert (own.quarantined_at, own.quarantine_reason, own.probe_at) == (None, "", None)
    expire_under(ada, 2, bob)
    assert quarantine_of(ada) is None
    numbers = expire_under(ada, 1, bob)
    assert quarantine_of(ada).startswith("3 jobs that others then did expired under it")
    assert quarantine_of(ada).endswith(f", {numbers[0]}")


def test_why_a_bot_is_in_quarantine_is_on_its_page_on_home_and_in_the_api(client, olga, olga_key, ada, bob):
    expire_under(ada, 3, bob)
    reason = quarantine_of(ada)
    client.force_login(olga)
    for url in (reverse("admin:bots_bot_change", args=[ada.pk]), reverse("admin:index")):
        assert reason in client.get(url).content.decode()
    answer = client.get(f"/api/v1/bots/{ada.pk}", headers={"authorization": f"Bearer {olga_key}"}).json()
    assert (answer["quarantined"], answer["quarantine_reason"]) == (True, reason)


def test_of_many_expiries_the_reason_has_at_least_so_many():
    reason = health.flapping([1, 2, 3], timedelta(hours=1), others=True)
    assert reason == "at least 3 jobs that others then did expired under it within 1 h: 1, 2, 3"


# --- A job ----------------------------------------------------------------------------------------------------


def test_a_job_that_hung_three_bots_ends_as_failed_with_their_names(ada, bob):
    carl = bot_named("carl")
    job = hang_under(ada, bob, carl, max_attempts=50)
    assert job.status == JobStatus.FAILED
    last = rf"silent for 7 m( \d+ s)? on sum job {job.pk}, limit 2 m"
    assert re.fullmatch(f"hung 3 bots: ada, bob, carl; the last was {last}", job.error)
    last = job.events.order_by("-id").first()
    assert (last.verb, last.actor, last.to_status) == (Verb.EXPIRE, Actor.SWEEP, JobStatus.FAILED)
    assert last.reason.endswith("; the job hung 3 bots: ada, bob, carl")
    assert why.explain(job).why.startswith("It hung 3 bots: ada, bob, carl; ")


def test_the_three_are_named_also_when_it_was_the_last_attempt_anyway(ada, bob):
    job = hang_under(ada, bob, bot_named("carl"), max_attempts=3)
    assert job.error.startswith("hung 3 bots: ada, bob, carl; ")


def test_the_sweep_counts_such_a_job_as_expired_and_failed(ada, bob):
    job = hang_under(ada, bob, max_attempts=50)
    lifecycle.claim(bot_named("carl"))
    swept = hang(job)
    assert (swept.expired, swept.failed) == (1, 1)
    assert [(act.action, act.becomes) for act in swept.actions] == [("expire", "failed")]


def test_two_bots_are_not_enough(ada, bob):
    job = hang_under(ada, bob, max_attempts=50)
    assert job.status == JobStatus.PENDING
    assert re.fullmatch(rf"expired: silent for 7 m( \d+ s)? on sum job {job.pk}, limit 2 m", job.error)


def test_the_same_bot_three_times_is_one_bot(ada, bob, settings):
    settings.QUARANTINE_EXPIRIES = 100
    assert hang_under(ada, ada, ada, bob, bob, max_attempts=50).status == JobStatus.PENDING


def test_a_bot_that_gave_it_back_or_failed_it_was_not_hung(ada, bob, olga):
    job = hang_under(ada, bob, max_attempts=50)
    claim_again(bot_named("carl"), job)
    lifecycle.release([job.pk], by=By.operator(olga))
    dora = bot_named("dora")
    Lease(dora, job.pk, claim_again(dora, job)).fail("no")
    Job.objects.filter(pk=job.pk).update(run_at=Now())
    assert Job.objects.get(pk=job.pk).status == JobStatus.PENDING


def test_three_bots_count_however_long_ago_the_first_was_hung(ada, bob):
    job = hang_under(ada, bob, max_attempts=50)
    JobEvent.objects.update(at=Now() - timedelta(days=9))
    assert hang_under(bot_named("carl"), job=job).status == JobStatus.FAILED


def test_a_job_that_an_operator_has_sent_back_begins_anew(ada, bob, olga):
    carl = bot_named("carl")
    job = hang_under(ada, bob, carl, max_attempts=50)
    lifecycle.retry([job.pk], by=By.operator(olga))
    assert hang_under(ada, bob, job=job).status == JobStatus.PENDING
    assert hang_under(carl, job=job).error.startswith("hung 3 bots: ada, bob, carl; ")


def test_jobs_of_one_batch_are_told_apart(ada, bob):
    carl = bot_named("carl", kinds=["divide", "sum"])
    first = hang_under(ada, bob, max_attempts=50, kind="divide")
    roster.pause(Bot.objects.filter(pk__in=[ada.pk, bob.pk]))
    lifecycle.claim(carl)
    second = take_one(carl)
    for job in (first, second):
        make_older(job, 7)
    assert sweep().expired == 2
    assert Job.objects.get(pk=first.pk).status == JobStatus.FAILED
    assert second.job.status == JobStatus.PENDING


@pytest.mark.parametrize(("most", "ends_at"), [(1, 1), (2, 2), (4, 4), (0, None)])
def test_how_many_bots_are_too_many_is_a_setting(ada, bob, settings, most, ends_at):
    settings.HUNG_BOTS = most
    bots = [ada, bob, bot_named("carl"), bot_named("dora")]
    job, ended = None, None
    for n, bot in enumerate(bots, 1):
        job = hang_under(bot, job=job, max_attempts=50)
        if job.status == JobStatus.FAILED:
            ended = n
            break
    assert ended == ends_at


def test_a_kind_whose_policy_is_only_to_flag_keeps_its_jobs(ada, bob):
    job = hang_under(ada, bob, max_attempts=50)
    job.kind.when_silent = "flag"
    job.kind.save()
    lifecycle.claim(bot_named("carl"))
    hang(job)
    assert Job.objects.get(pk=job.pk).status == JobStatus.PROCESSING
