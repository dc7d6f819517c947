"""The sweep grades what is due, acts by each kind's policy, and leaves alone what is in order."""

import json
import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now

from bots import roster
from bots.models import Bot
from bots.states import BotStatus, HealthStatus
from jobs import lifecycle
from jobs.models import Job, JobEvent, JobKind
from jobs.states import JobStatus, Policy, Verb
from jobs.sweep.result import Swept
from jobs.sweep.run import sweep
from tests.cast import Lease, bot_named, make_older, take_one

pytestmark = pytest.mark.django_db


def beating(lease: Lease, minutes: float) -> None:
    """The lease is that old, and its bot was heard of just now."""
    make_older(lease, minutes)
    lease.heartbeat()
    make_older_deadline(lease)


def make_older_deadline(lease: Lease) -> None:
    Job.objects.filter(pk=lease.id).update(deadline_at=Now() - timedelta(seconds=1))


def counts(swept: Swept) -> dict[str, int]:
    """The figures that are not nought."""
    return {name: n for name, n in swept.counts().items() if n}


def policy(**fields: Any) -> None:
    JobKind.objects.filter(name="sum").update(**fields)


def test_a_lease_in_order_is_not_looked_at(ada: Bot) -> None:
    lease = take_one(ada)
    roster.pause(Bot.objects.all())
    lifecycle.see(ada, always=True)
    before = lease.job.deadline_at
    assert counts(sweep()) == {}
    assert lease.job.deadline_at == before


def test_a_silent_bot_is_potentially_stuck_with_the_figures(ada: Bot) -> None:
    lease = take_one(ada)
    make_older(lease, 3)
    lifecycle.see(ada, always=True)
    assert counts(sweep()) == {"checked": 1, "potentially_stuck": 1}
    ada.refresh_from_db()
    assert (ada.health_status, ada.stuck_job_id) == (HealthStatus.POTENTIALLY_STUCK, lease.id)
    assert re.fullmatch(rf"silent for 3 m( \d+ s)? on sum job {lease.id}, limit 2 m", ada.health_reason)
    assert ada.health_checked_at is not None
    assert lease.job.claimed_by == ada


def test_what_was_looked_at_is_looked_at_again_when_its_grade_can_change(ada: Bot) -> None:
    lease = take_one(ada)
    make_older(lease, 3)
    sweep()
    assert sweep().checked == 0
    job = Job.objects.annotate(now=Now()).get(pk=lease.id)
    assert job.deadline_at is not None
    # Silent for 3 minutes; at 6 it is unhealthy.
    assert timedelta(minutes=2, seconds=30) < job.deadline_at - job.now <= timedelta(minutes=3)


def test_a_job_of_a_bot_silent_for_three_limits_goes_back_and_the_attempt_counts(ada: Bot, bob: Bot) -> None:
    lease = take_one(ada, max_attempts=2)
    make_older(lease, 6)
    lifecycle.see(ada, always=True)
    assert counts(sweep()) == {"checked": 1, "unhealthy": 1, "expired": 1}
    job = lease.job
    assert (job.status, job.uncounted) == (JobStatus.PENDING, 0)
    event = JobEvent.objects.get()
    assert (event.verb, event.actor, event.by, event.bot) == (Verb.EXPIRE, "sweep", "sweep_stuck", ada)
    assert re.match(r"silent for 6 m( \d+ s)? on sum job", event.reason)
    assert [claimed.attempt for claimed in lifecycle.claim(bob)] == [2]


def test_a_job_that_hangs_every_bot_ends_as_failed(ada: Bot) -> None:
    lease = take_one(ada, max_attempts=2)
    for _ in range(2):
        make_older(lease, 10)
        sweep()
        lifecycle.claim(ada)
    assert lease.job.status == JobStatus.FAILED
    assert JobEvent.objects.filter(verb=Verb.EXPIRE).count() == 2


def test_a_job_that_was_not_started_goes_back_at_its_first_limit(ada: Bot) -> None:
    lease = take_one(ada, start=False)
    make_older(lease, 4.9)
    assert sweep().expired == 0
    make_older(lease, 0.2)
    assert sweep().expired == 1
    assert "claimed but not started for 5 m" in JobEvent.objects.get().reason


def test_an_overdue_job_of_a_bot_that_still_beats_is_only_flagged_once(ada: Bot) -> None:
    lease = take_one(ada)
    beating(lease, 31)
    swept = sweep()
    assert (swept.flagged, swept.expired, swept.unhealthy) == (1, 0, 1)
    assert lease.job.status == JobStatus.PROCESSING
    make_older_deadline(lease)
    assert sweep().flagged == 0
    assert JobEvent.objects.get().verb == Verb.FLAG


@pytest.mark.parametrize(
    ("fields", "status", "count"),
    [
        ({"when_silent": Policy.RELEASE}, JobStatus.PENDING, "expired"),
        ({"when_silent": Policy.FAIL}, JobStatus.FAILED, "failed"),
        ({"when_silent": Policy.FLAG}, JobStatus.PROCESSING, "flagged"),
    ],
)
def test_a_silent_job_meets_its_kinds_policy(ada: Bot, fields: dict[str, Any], status: str, count: str) -> None:
    lease = take_one(ada)
    policy(**fields)
    make_older(lease, 7)
    assert getattr(sweep(), count) == 1
    assert lease.job.status == status


@pytest.mark.parametrize(("chosen", "status"), [(Policy.RELEASE, JobStatus.PENDING), (Policy.FAIL, JobStatus.FAILED)])
def test_an_overdue_job_meets_its_kinds_policy(ada: Bot, chosen: Policy, status: str) -> None:
    lease = take_one(ada)
    policy(when_overdue=chosen)
    beating(lease, 31)
    sweep()
    assert lease.job.status == status


@pytest.mark.parametrize(
    ("silent", "overdue", "status"),
    [
        (Policy.FLAG, Policy.FAIL, JobStatus.FAILED),
        (Policy.FAIL, Policy.FLAG, JobStatus.FAILED),
        (Policy.FLAG, Policy.RELEASE, JobStatus.PENDING),
        (Policy.RELEASE, Policy.FLAG, JobStatus.PENDING),
        (Policy.RELEASE, Policy.FAIL, JobStatus.PENDING),
        (Policy.FAIL, Policy.RELEASE, JobStatus.FAILED),
    ],
)
def test_a_job_past_both_limits_meets_the_first_policy_that_does_more_than_flag(
    ada: Bot, silent: Policy, overdue: Policy, status: str
) -> None:
    lease = take_one(ada)
    policy(when_silent=silent, when_overdue=overdue)
    make_older(lease, 100)
    assert sweep().flagged == 0
    assert lease.job.status == status


def test_a_kinds_own_limit_for_running_is_used(ada: Bot) -> None:
    lease = take_one(ada)
    policy(run_within=timedelta(hours=2))
    beating(lease, 31)
    swept = sweep()
    assert (swept.flagged, swept.potentially_stuck, swept.unhealthy) == (0, 0, 0)


def test_a_bot_that_beats_again_is_well_at_once(ada: Bot) -> None:
    lease = take_one(ada)
    make_older(lease, 3)
    sweep()
    lease.heartbeat()
    ada.refresh_from_db()
    assert (ada.health_status, ada.health_reason, ada.stuck_job) == (HealthStatus.NORMAL, "", None)


def test_a_bot_whose_job_expired_stays_unhealthy_until_it_is_seen(ada: Bot) -> None:
    lease = take_one(ada)
    make_older(lease, 7)
    sweep()
    ada.refresh_from_db()
    assert (ada.health_status, ada.stuck_job) == (HealthStatus.UNHEALTHY, None)
    lifecycle.see(ada)
    ada.refresh_from_db()
    assert (ada.status, ada.health_status, ada.health_reason) == (BotStatus.IDLE, HealthStatus.NORMAL, "")


def test_a_bot_not_seen_for_long_is_down_until_it_calls(ada: Bot, bob: Bot) -> None:
    lifecycle.see(bob, always=True)
    Bot.objects.filter(pk=ada.pk).update(last_seen_at=Now() - timedelta(seconds=121))
    assert counts(sweep()) == {"down": 1}
    ada.refresh_from_db()
    bob.refresh_from_db()
    assert (ada.status, bob.status) == (BotStatus.DOWN, BotStatus.IDLE)
    lifecycle.see(ada)
    ada.refresh_from_db()
    assert ada.status == BotStatus.IDLE


def test_more_than_a_batch_is_all_done(ada: Bot, settings: Any) -> None:
    settings.SWEEP_BATCH = 2
    leases = [take_one(bot_named(f"bot {n}")) for n in range(5)]
    for lease in leases:
        make_older(lease, 7)
    seen: list[int] = []
    assert sweep(each_batch=lambda swept: seen.append(swept.checked)).expired == 5
    assert seen == [2, 4, 5]


def test_a_sweep_of_one_kind_leaves_the_leases_of_others(ada: Bot, bob: Bot) -> None:
    mine, other = take_one(ada, kind="sum"), take_one(bob, kind="divide")
    for lease in (mine, other):
        make_older(lease, 7)
    assert sweep(kind="sum").expired == 1
    assert (mine.job.status, other.job.status) == (JobStatus.PENDING, JobStatus.PROCESSING)


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(ada: Bot) -> None:
    lease = take_one(ada)
    make_older(lease, 7)
    before = lease.job.deadline_at
    swept = sweep(dry_run=True)
    assert (swept.checked, swept.expired) == (1, 1)
    assert [(act.job, act.action, act.becomes) for act in swept.actions if act.job] == [(lease.id, "expire", "pending")]
    ada.refresh_from_db()
    assert (lease.job.status, lease.job.deadline_at, ada.health_status) == (JobStatus.PROCESSING, before, "normal")
    assert not JobEvent.objects.exists()


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("sweep_stuck", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_prints_one_line_for_cron(ada: Bot) -> None:
    make_older(take_one(ada), 7)
    (line,) = run().splitlines()
    assert line.startswith("checked 1, potentially stuck 0, unhealthy 1,")
    assert "expired 1" in line


def test_the_command_prints_one_object_with_the_figures_that_are_promised(ada: Bot) -> None:
    make_older(take_one(ada), 7)
    said = json.loads(run("--json"))
    assert list(said) == [
        "checked", "potentially_stuck", "unhealthy", "recovered", "down", "expired", "failed", "flagged", "dropped",
        "pruned", "incidents_opened", "incidents_resolved",
    ]  # fmt: skip
    assert (said["checked"], said["expired"]) == (1, 1)


def test_the_command_says_that_a_dry_run_was_one(ada: Bot) -> None:
    lease = take_one(ada)
    make_older(lease, 7)
    assert run("--dry-run").startswith("Dry run: checked 1,")
    assert lease.job.status == JobStatus.PROCESSING


@pytest.mark.parametrize("arguments", [("--kind", "nothing"), ("--loop", "0"), ("--loop", "soon")])
def test_the_command_refuses_what_makes_no_sense(db: None, arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        run(*arguments)
