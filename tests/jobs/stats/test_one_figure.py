"""One figure for one thing: whatever shows how a kind went in an hour, a day or a week counts the same jobs.

A day with retries, cancels, releases, running jobs, a prune, and statistics that are behind.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from bots.models import Bot
from jobs import lifecycle
from jobs.lifecycle import By
from jobs.lists import queues
from jobs.models import Job, JobKind, JobRollup
from jobs.release_patterns.params import ReportParams
from jobs.release_patterns.report import build
from jobs.stats import bot_record, counts, recent, rollup
from jobs.stats.series import series
from jobs.sweep import retention
from tests.api.calls import send
from tests.cast import Lease, bot_named, enqueue_one, person_named, take_one

pytestmark = pytest.mark.django_db

#: Neither an hour nor a quarter begins here.
UNTIL = datetime(2026, 3, 5, 12, 20, tzinfo=UTC)
#: What goes back to pending comes after all others.
MOVED = """
    UPDATE jobs_job
    SET priority = 0, finished_at = CASE WHEN finished_at IS NOT NULL THEN at END,
        started_at = CASE WHEN started_at IS NOT NULL THEN at - interval '3 seconds' END,
        claimed_at = CASE WHEN claimed_at IS NOT NULL THEN at - interval '3 seconds' END,
        run_at = at - interval '1 minute', created_at = at - interval '1 minute'
    FROM (SELECT %(at)s::timestamptz AS at) AS moved
    WHERE id = %(id)s
"""


@pytest.mark.parametrize("closed", ["", "paused", "throttled"])
def test_what_waits_is_the_same_in_the_console_the_api_the_metrics_and_the_charts(
    client: Client, ada: Bot, olga_key: str, closed: str
) -> None:
    take_one(ada)
    for fields in (
        {},
        {"priority": 5},
        {"group": "acme"},
        {"delay": 3600},
        {"start_by": timezone.now() + timedelta(days=1)},
    ):
        enqueue_one(**fields)
    Job.objects.filter(start_by__isnull=False).update(start_by=Now())
    if closed == "paused":
        JobKind.objects.update(paused=True)
    elif closed:
        lifecycle.throttle("sum", "", 60, by=lifecycle.SWEEP)
    rollup.add_closed_minutes()
    (queue,) = queues.queues([JobKind.objects.get()])
    due = 0 if closed else 3
    assert (queue.pending.n, queue.due.n, queue.held) == (5, due, 1)
    scale = send(client, olga_key, "GET", "/scale?kind=sum").json()["kinds"][0]
    assert (scale["due"], scale["held"]) == (due, 1)
    live = counts.live(["sum"])
    assert (live["sum", "pending"], live["sum", "processing"]) == (5, 1)
    hour = JobRollup.objects.get(span="hour", kind="sum")
    assert (hour.pending, hour.due) == (5, due)
    (oldest,) = counts.oldest_pending()
    assert oldest["closed"] == bool(closed)
    assert (queue.oldest_id is None) == bool(closed)


def ends(lease: Lease, minutes: float, act: Callable[[Lease], object]) -> None:
    """The lease ends so many minutes before `UNTIL`, after three seconds."""
    act(lease)
    moment = UNTIL - timedelta(minutes=minutes)
    with connection.cursor() as cursor:
        cursor.execute(MOVED, {"at": moment, "id": lease.id})
        cursor.execute("UPDATE jobs_jobevent SET at = %s WHERE job_id = %s AND at > %s", [moment, lease.id, moment])


@pytest.fixture(scope="module")
def day(django_db_setup: None, django_db_blocker: Any) -> Iterator[Bot]:
    """Thirty hours of a kind, and its bot. Filled once: each test is undone by itself, and this after the last one."""
    with django_db_blocker.unblock(), transaction.atomic():
        ada = bot_named("ada")
        fill(ada, By.operator(person_named("olga")))
        yield ada
        transaction.set_rollback(True)


def fill(ada: Bot, by: By) -> None:
    """Each hour something ends. Then the sweep falls behind."""
    acts: list[Callable[[Lease], object]] = [
        lambda lease: lease.fail(retry=False),
        lambda lease: lease.complete(1),
        lambda lease: lifecycle.cancel([lease.id], by=by),
        lambda lease: lifecycle.release([lease.id], by=by),
        lambda lease: lease.complete(2),
    ]
    for n in range(30):
        ends(take_one(ada), 35 + 60 * n, acts[n % len(acts)])
    # What was released goes on, and what failed is retried; that adds to what has ended, and takes nothing from it.
    for job in Job.objects.filter(status="pending").order_by("id")[:4]:
        Job.objects.filter(pk=job.pk).update(priority=2_000_000)
        (claimed,) = lifecycle.claim(ada)
        ends(Lease(ada, claimed.id, claimed.attempt), 7, lambda lease: lease.complete(3))
    lifecycle.retry(list(Job.objects.filter(status="failed").values_list("id", flat=True)[:5]), by=by)
    rollup.add_closed_minutes(UNTIL + timedelta(seconds=40))
    # Pruned jobs are in all figures, and what has ended since in none.
    JobKind.objects.update(keep_for=timedelta(0))
    assert retention.prune() > 10
    take_one(ada)
    ends(take_one(ada), -10, lambda lease: lease.complete(4))


def sums(window: str) -> tuple[int, int, int]:
    """Succeeded, failed and cancelled in a chart of the kind's page."""
    bars = series(window, "sum")
    return sum(bar.succeeded for bar in bars), sum(bar.failed for bar in bars), sum(bar.cancelled for bar in bars)


def test_the_day_is_what_was_seeded(day: Bot) -> None:
    assert rollup.added_until() == UNTIL
    # The day began at 13:00, after what ended at 12:45. Of each five one was released, and four of those went on.
    assert sums("day") == (5 + 4 + 4, 5, 5)
    assert sums("hour") == (4, 1, 0)
    assert sums("week") == (6 + 6 + 4, 6, 6)


def test_an_hour_is_the_same_on_the_kinds_page_and_in_the_list(day: Bot) -> None:
    (queue,) = queues.queues([JobKind.objects.get()])
    succeeded, failed, cancelled = sums("hour")
    assert (queue.recently.succeeded, queue.recently.failed) == (succeeded, failed)
    assert sum(queue.recently.bars) == succeeded + failed + cancelled
    leases = JobRollup.objects.filter(span="minute", kind="sum", start__gte=UNTIL - timedelta(hours=1))
    assert queue.recently.leases == sum(leases.values_list("leases_ended", flat=True))
    assert (queue.ran.now, queue.ran.before) == (recent.of_kind("sum").now, recent.of_kind("sum").before)


def test_a_day_is_the_same_for_charts_run_times_bots_and_release_patterns(day: Bot) -> None:
    succeeded, failed, cancelled = sums("day")
    bars = [bar for window in ("", "sum") for bar in series("day", window)]
    assert sum(bar.succeeded for bar in bars) == 2 * succeeded
    times = recent.of_kind("sum")
    assert sum(n for _, n in times.steps()) == succeeded
    assert times.day()[0].start == series("day", "sum")[0].start == UNTIL.replace(minute=0) - timedelta(hours=23)
    of_bot = bot_record.added([record for _, record in bot_record.parts_of(day, "day")])
    assert of_bot == bot_record.of_last_day([day.pk])[day.pk] == bot_record.of_fleet("day")
    assert (of_bot.succeeded, of_bot.failed) == (succeeded, failed)
    patterns = build(ReportParams.from_params({"range": "24h", "kind": "sum"}))
    assert patterns.conclusions.leases == succeeded + failed + cancelled + of_bot.released


def test_a_week_and_the_counters_are_the_sum_of_all_days(day: Bot) -> None:
    total = counts.totals()["sum"]
    assert (total.succeeded, total.failed, total.cancelled) == sums("week")
    times = recent.of_kind("sum").week()
    assert times[0].start == series("week", "sum")[0].start


def test_the_pages_show_these_figures(day: Bot, client: Client, settings: Any) -> None:
    client.force_login(User.objects.get())
    succeeded, failed, _ = sums("day")
    shown = f"In the last day: {succeeded} succeeded, {failed} failed. Counted until"
    for url in (reverse("admin:jobs_jobkind_change", args=["sum"]), reverse("admin:index")):
        assert shown in re.sub(r"\s+", " ", client.get(url, {"span": "day"}).content.decode())
    settings.METRICS_TOKEN = "scrape-me-if-you-can"
    told = client.get("/metrics", headers={"authorization": f"Bearer {settings.METRICS_TOKEN}"}).content.decode()
    of_week = zip(("succeeded", "failed", "cancelled"), sums("week"), strict=True)
    for status, n in of_week:
        assert f'jobsite_jobs_finished_total{{kind="sum",status="{status}"}} {n}.0' in told
