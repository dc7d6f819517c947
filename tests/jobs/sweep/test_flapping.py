"""A bot whose jobs keep expiring is put into quarantine, and a job that hangs bot after bot ends: each by name."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.urls import reverse

from bots import health, roster
from bots.models import Bot
from jobs import lifecycle
from jobs.explain import why
from jobs.lifecycle import By
from jobs.models import Job, JobEvent
from jobs.states import Actor, JobStatus, Verb
from jobs.sweep.run import sweep
from tests.cast import bot_named, make_older, take_one

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
            # Nobody else may take it meanwhile.
            (claimed,) = lifecycle.claim(bot)
            assert claimed.id == job.pk
        hang(job)
    return Job.objects.get(pk=job.pk)


# --- A bot ----------------------------------------------------------------------------------------------------


def expire_under(bot, times):
    """So many of the bot's jobs expire; their numbers."""
    numbers = []
    for _ in range(times):
        lease = take_one(bot, max_attempts=1)
        hang(lease)
        numbers.append(lease.id)
    return numbers


def test_three_jobs_that_expired_within_an_hour_put_a_bot_into_quarantine_with_their_numbers(ada):
    numbers = expire_under(ada, 3)
    ada.refresh_from_db()
    assert ada.quarantined_at is not None
    assert ada.quarantine_reason == f"3 jobs expired under it within 1 h: {', '.join(map(str, numbers))}"


def test_the_same_job_that_expired_three_times_is_named_once(ada, settings):
    hang_under(ada, ada, ada, max_attempts=9)
    ada.refresh_from_db()
    assert ada.quarantine_reason == f"jobs expired under it 3 times within 1 h: {Job.objects.get().pk} (3 times)"


def test_two_are_not_enough(ada):
    expire_under(ada, 2)
    ada.refresh_from_db()
    assert (ada.quarantined_at, ada.quarantine_reason) == (None, "")


def test_what_expired_an_hour_ago_does_not_count(ada):
    expire_under(ada, 2)
    JobEvent.objects.update(at=Now() - timedelta(minutes=61))
    expire_under(ada, 2)
    ada.refresh_from_db()
    assert ada.quarantined_at is None


def test_what_expired_under_others_does_not_count(ada, bob):
    expire_under(ada, 2)
    expire_under(bob, 2)
    assert not Bot.objects.exclude(quarantined_at=None).exists()


def test_a_bot_that_an_operator_has_cleared_begins_anew_and_its_reason_is_gone(ada):
    expire_under(ada, 3)
    roster.clear_quarantine(Bot.objects.filter(pk=ada.pk))
    ada.refresh_from_db()
    assert (ada.quarantined_at, ada.quarantine_reason) == (None, "")
    expire_under(ada, 2)
    ada.refresh_from_db()
    assert ada.quarantined_at is None
    numbers = expire_under(ada, 1)
    ada.refresh_from_db()
    assert ada.quarantine_reason.startswith("3 jobs expired under it")
    assert ada.quarantine_reason.endswith(f", {numbers[0]}")


def test_a_bot_in_quarantine_keeps_the_reason_it_was_put_there_for(ada):
    leases = [take_one(ada, max_attempts=1) for _ in range(5)]
    for lease in leases[:3]:
        hang(lease)
    ada.refresh_from_db()
    reason = ada.quarantine_reason
    hang(leases[3])
    ada.refresh_from_db()
    assert ada.quarantine_reason == reason


def test_why_a_bot_is_in_quarantine_is_on_its_page_on_home_and_in_the_api(client, olga, olga_key, ada):
    expire_under(ada, 3)
    # It calls again and is well; that it flaps stands all the same.
    lifecycle.see(ada)
    ada.refresh_from_db()
    assert ada.health_reason == ""
    client.force_login(olga)
    for url in (reverse("admin:bots_bot_change", args=[ada.pk]), reverse("admin:index")):
        assert ada.quarantine_reason in client.get(url).content.decode()
    answer = client.get(f"/api/v1/bots/{ada.pk}", headers={"authorization": f"Bearer {olga_key}"}).json()
    assert (answer["quarantined"], answer["quarantine_reason"]) == (True, ada.quarantine_reason)


def test_of_many_expiries_the_reason_has_at_least_so_many():
    said = health.flapping([1, 2, 3], timedelta(hours=1), others=True)
    assert said == "at least 3 jobs expired under it within 1 h: 1, 2, 3"


# --- A job ----------------------------------------------------------------------------------------------------


def test_a_job_that_hung_three_bots_ends_as_failed_with_their_names(ada, bob):
    carl = bot_named("carl")
    job = hang_under(ada, bob, carl, max_attempts=50)
    assert job.status == JobStatus.FAILED
    assert job.error == f"hung 3 bots: ada, bob, carl; the last was silent for 7 m on sum job {job.pk}, limit 2 m"
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
    assert (job.status, job.error) == (JobStatus.PENDING, f"expired: silent for 7 m on sum job {job.pk}, limit 2 m")


def test_the_same_bot_three_times_is_one_bot(ada, bob, settings):
    settings.QUARANTINE_EXPIRIES = 100
    assert hang_under(ada, ada, ada, bob, bob, max_attempts=50).status == JobStatus.PENDING


def test_a_bot_that_gave_it_back_or_failed_it_was_not_hung(ada, bob, olga):
    job = hang_under(ada, bob, max_attempts=50)
    (claimed,) = lifecycle.claim(bot_named("carl"))
    lifecycle.release([claimed.id], by=By.operator(olga))
    dora = bot_named("dora")
    (claimed,) = lifecycle.claim(dora)
    lifecycle.fail([lifecycle.Report(claimed.id, claimed.attempt, error="no")], by=By.bot(dora))
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
