"""A bot that stays stuck on its job is written when its grade changes, or its reason has old figures."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bots.models import Bot
from bots.states import HealthStatus
from jobs.models import Job, JobKind
from jobs.sweep import run
from tests.cast import Lease, bot_named, make_older, take_one

pytestmark = pytest.mark.django_db


@pytest.fixture
def lease(ada: Bot) -> Lease:
    """A lease that is potentially stuck and graded, and not due before it can have another grade."""
    lease = take_one(ada)
    make_older(lease, 3)
    run.sweep()
    status, reason = health(ada)
    assert status == HealthStatus.POTENTIALLY_STUCK
    assert re.fullmatch(rf"silent for 3 m( \d+ s)? on sum job {lease.id}, limit 2 m", reason)
    return lease


def health(bot: Bot) -> tuple[str, str]:
    bot.refresh_from_db()
    return bot.health_status, bot.health_reason


def time_passes(lease: Lease, minutes: float) -> None:
    """The lease and its grade are older, and the sweep need not look at it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE bots_bot SET health_checked_at = health_checked_at - %s * interval '1 minute'", [minutes]
        )
    make_older(lease, minutes)
    Job.objects.filter(pk=lease.id).update(deadline_at=lease.job.deadline_at + timedelta(hours=1))


def swept_with(bot: Bot) -> list[str]:
    """The statements of a sweep that change bots."""
    with CaptureQueriesContext(connection) as queries:
        run.sweep()
    return [query["sql"] for query in queries if re.search('UPDATE "?bots_bot', query["sql"])]


def test_nothing_is_written_while_nothing_changes(ada: Bot, lease: Lease) -> None:
    assert swept_with(ada) == []
    time_passes(lease, 0.1)
    assert swept_with(ada) == []


def test_the_figures_are_written_again_when_the_job_is_a_ninth_older(ada: Bot, lease: Lease) -> None:
    before = health(ada)
    time_passes(lease, 0.2)
    swept_with(ada)
    assert health(ada) == before
    time_passes(lease, 0.3)
    assert len(swept_with(ada)) == 1
    assert re.search(r"silent for 3 m [345]\d s", health(ada)[1])


@pytest.mark.parametrize(
    ("minutes", "grade"), [(1, HealthStatus.UNHEALTHY), (5, HealthStatus.NORMAL)], ids=["lower", "higher"]
)
def test_a_limit_that_changed_counts_at_the_next_sweep(ada: Bot, lease: Lease, minutes: int, grade: str) -> None:
    JobKind.objects.update(heartbeat_within=timedelta(minutes=minutes))
    run.sweep()
    assert health(ada)[0] == grade


def test_a_lease_that_ended_without_its_bot_is_no_reason_any_more(ada: Bot, lease: Lease) -> None:
    other = take_one(ada)
    Job.objects.filter(pk=lease.id).update(status="pending", claimed_by=None, deadline_at=None)
    run.sweep()
    assert health(ada) == (HealthStatus.NORMAL, "")
    assert other.job.claimed_by == ada


def test_one_that_was_never_started_keeps_its_grade_too(ada: Bot) -> None:
    JobKind.objects.create(name="sum", start_within=timedelta(minutes=5), heartbeat_within=timedelta(minutes=1))
    lease = take_one(ada, start=False)
    make_older(lease, 6)
    Bot.objects.update(health_status="potentially_stuck", stuck_job_id=lease.id, health_reason="as it is")
    Job.objects.filter(pk=lease.id).update(deadline_at=lease.job.deadline_at + timedelta(hours=1))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE bots_bot SET health_checked_at = now() - interval '1 second'")
    assert swept_with(ada) == []
    assert health(ada) == (HealthStatus.POTENTIALLY_STUCK, "as it is")


def test_many_that_stay_stuck_take_as_many_statements_as_one(ada: Bot, lease: Lease) -> None:
    with CaptureQueriesContext(connection) as one:
        run.sweep()
    leases = [take_one(bot_named(f"bot-{n}")) for n in range(20)]
    for each in leases:
        make_older(each, 3)
    run.sweep()
    assert Bot.objects.stuck().count() == 21
    with CaptureQueriesContext(connection) as many:
        run.sweep()
    assert len(many) == len(one)
