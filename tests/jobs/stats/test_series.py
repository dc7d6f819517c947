"""The figures: each closed minute is added up once, and what is not added up is counted only so far."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from jobs import figures, lifecycle
from jobs.figures import Count
from jobs.lifecycle import By
from jobs.models import Job, Tally
from jobs.states import Span
from tests.cast import enqueue_one, take_one
from tests.race import PATIENCE, racers

NOON = datetime(2026, 3, 5, 12, 0, tzinfo=UTC)


def ended(ada, at, *, seconds=2.0, waited=1.0, kind="sum", fail=False):
    """A job that ended at this moment, after running and waiting for so long."""
    lease = take_one(ada, kind=kind)
    if fail:
        lease.fail(retry=False)
    else:
        lease.complete(1)
    start = at - timedelta(seconds=seconds)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE jobs_job SET finished_at = %s, started_at = %s, claimed_at = %s, run_at = %s WHERE id = %s",
            [at, start, start, start - timedelta(seconds=waited), lease.id],
        )
    return lease


@pytest.fixture
def now():
    """A moment with a settled minute before it."""
    return timezone.now().replace(second=45, microsecond=0)


@pytest.mark.django_db
def test_what_ended_is_added_up_for_its_kind_and_for_all(ada, now):
    minute = now.replace(second=0) - timedelta(minutes=5)
    ended(ada, minute + timedelta(seconds=3), seconds=2, waited=1)
    ended(ada, minute + timedelta(seconds=9), seconds=4, waited=3)
    ended(ada, minute + timedelta(seconds=9), kind="divide", fail=True)
    figures.keep_tally(now)
    of_all = Tally.objects.get(span=Span.MINUTE, kind="", start=minute)
    assert (of_all.succeeded, of_all.failed, of_all.ran, of_all.waited, of_all.waits) == (2, 1, 6, 5, 3)
    of_sum = Tally.objects.get(span=Span.HOUR, kind="sum")
    assert (of_sum.succeeded, of_sum.failed) == (2, 0)
    # 2 s and 4 s are on the steps up to 3.2 s and up to 6.4 s.
    assert {figures.STEPS[n]: count for n, count in enumerate(of_sum.runs) if count} == {3.2: 1, 6.4: 1}


@pytest.mark.django_db
def test_nothing_is_added_up_twice_however_often_it_is_asked(ada, now):
    ended(ada, now - timedelta(minutes=4))
    first = figures.keep_tally(now)
    assert first > 0
    assert figures.keep_tally(now) == 0
    ended(ada, now - timedelta(seconds=5))
    assert figures.keep_tally(now + timedelta(minutes=1)) == 1
    assert sum(row.succeeded for row in Tally.objects.filter(span=Span.HOUR, kind="")) == 2


@pytest.mark.django_db
def test_a_minute_that_is_not_over_is_not_added_up(ada, now):
    ended(ada, now - timedelta(seconds=5))
    figures.keep_tally(now)
    assert sum(row.succeeded for row in Tally.objects.filter(span=Span.MINUTE, kind="")) == 0


@pytest.mark.django_db
def test_after_a_long_pause_it_catches_up(ada, now):
    ended(ada, now - timedelta(hours=20))
    ended(ada, now - timedelta(minutes=3))
    figures.keep_tally(now)
    assert sum(row.succeeded for row in Tally.objects.filter(span=Span.HOUR, kind="")) == 2
    # The minutes of twenty hours ago are not kept; the quarters are.
    assert sum(row.succeeded for row in Tally.objects.filter(span=Span.MINUTE, kind="")) == 1
    assert sum(row.succeeded for row in Tally.objects.filter(span=Span.QUARTER, kind="")) == 2


@pytest.mark.django_db
def test_the_sweep_keeps_the_tally(ada):
    ended(ada, timezone.now() - timedelta(minutes=3))
    call_command("sweep_stuck", "--dry-run")
    assert not Tally.objects.exists()
    call_command("sweep_stuck")
    assert sum(row.succeeded for row in Tally.objects.filter(span=Span.MINUTE, kind="")) == 1


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_add_nothing_twice(ada, now):
    for n in range(20):
        ended(ada, now - timedelta(minutes=2 + n))
    with racers() as race:
        with transaction.atomic():
            assert figures.keep_tally(now) > 0
            # While we are at it, another sweep leaves it to us and waits for nobody.
            assert race.go(lambda: figures.keep_tally(now)).result(PATIENCE) == 0
        assert race.go(lambda: figures.keep_tally(now)).result(PATIENCE) == 0
    assert sum(row.succeeded for row in Tally.objects.filter(span=Span.MINUTE, kind="")) == 20


@pytest.mark.django_db
def test_a_series_has_a_bar_for_every_stretch_also_where_nothing_ended(ada, now):
    ended(ada, now - timedelta(minutes=7), seconds=2, waited=1)
    figures.keep_tally(now)
    bars = figures.series("hour", now=now)
    assert len(bars) == 60
    assert [bar.succeeded for bar in bars if bar.ended] == [1]
    (bar,) = [bar for bar in bars if bar.ended]
    assert (bar.run, bar.wait) == (2, 1)
    assert len(figures.series("day", now=now)) == 96
    assert len(figures.series("week", now=now)) == 168


@pytest.mark.django_db
def test_a_kinds_spread_has_its_failures_and_where_its_run_times_lie(ada, now):
    for seconds in (1, 1, 1, 9):
        ended(ada, now - timedelta(minutes=5), seconds=seconds)
    ended(ada, now - timedelta(minutes=5), fail=True)
    figures.keep_tally(now)
    spread = figures.spreads()["sum"]
    assert (spread.succeeded, spread.failed, spread.failure_share, spread.mean) == (4, 1, 0.2, 3)
    assert (spread.within(0.5), spread.within(1)) == (1.6, 12.8)


@pytest.mark.django_db
def test_few_jobs_are_counted_and_many_are_about(ada, olga, monkeypatch):
    for _ in range(4):
        enqueue_one()
    lease = take_one(ada)
    lifecycle.release([lease.id], by=By.operator(olga))
    counts, releases = figures.by_status()
    assert (counts["pending"], counts["failed"], releases) == (Count(5), Count(0), Count(1))
    monkeypatch.setattr(figures, "COUNTED", 3)
    counts, _ = figures.by_status()
    assert counts["pending"].about
    assert "about" in str(counts["pending"])


@pytest.mark.parametrize(
    ("n", "guess", "shown"),
    [(17, 0, "17"), (5001, 0, "about 5\u202f000"), (5001, 1_234_567, "about 1\u202f200\u202f000")],
)
def test_a_guess_is_never_below_what_was_counted(n, guess, shown):
    assert str(figures.counted(n, guess)) == shown


@pytest.mark.django_db
def test_the_oldest_due_job_of_each_kind_is_found_at_any_priority(a_job, age):
    old = a_job(priority=-5)
    a_job(priority=7)
    later = a_job(kind="divide", run_at=timezone.now() + timedelta(hours=1))
    age(old, 30)
    rows = figures.oldest_pending()
    assert [(row["kind"], row["id"]) for row in rows] == [("sum", old.pk)]
    assert Job.objects.get(pk=later.pk).kind_id == "divide"
