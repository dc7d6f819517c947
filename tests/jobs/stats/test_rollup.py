"""Each closed minute is added up once, for charts and kinds, however often and by whomever it is asked."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from jobs.models import JobRollup, RollupState
from jobs.states import Span
from jobs.stats import rollup
from jobs.stats.series import series
from jobs.stats.times import FINE, HOME
from jobsite.lib import histogram
from tests.cast import take_one
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
            "UPDATE jobs_job SET finished_at = %s, started_at = %s, claimed_at = %s, run_at = %s, created_at = %s"
            " WHERE id = %s",
            [at, start, start, start - timedelta(seconds=waited), start - timedelta(days=1), lease.id],
        )
        cursor.execute("UPDATE jobs_jobevent SET at = %s WHERE job_id = %s", [at, lease.id])
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
    rollup.add_closed_minutes(now)
    of_all = JobRollup.objects.get(span=Span.MINUTE, kind="", start=minute)
    assert (of_all.succeeded, of_all.failed, of_all.ran, of_all.waited, of_all.waits) == (2, 1, 6, 5, 3)
    of_sum = JobRollup.objects.get(span=Span.HOUR, kind="sum")
    assert (of_sum.succeeded, of_sum.failed) == (2, 0)
    runs = FINE.regroup(histogram.from_json(of_sum.run_times), HOME)
    # 2 s and 4 s are on the steps up to 3.2 s and up to 6.4 s.
    assert {HOME.edges[n]: count for n, count in enumerate(runs) if count} == {3.2: 1, 6.4: 1}


@pytest.mark.django_db
def test_nothing_is_added_up_twice_however_often_it_is_asked(ada, now):
    ended(ada, now - timedelta(minutes=4))
    first = rollup.add_closed_minutes(now)
    assert first > 0
    assert rollup.add_closed_minutes(now) == 0
    ended(ada, now - timedelta(seconds=5))
    assert rollup.add_closed_minutes(now + timedelta(minutes=1)) == 1
    assert sum(row.succeeded for row in JobRollup.objects.filter(span=Span.HOUR, kind="")) == 2


@pytest.mark.django_db
def test_a_minute_that_is_not_over_is_not_added_up(ada, now):
    ended(ada, now - timedelta(seconds=5))
    rollup.add_closed_minutes(now)
    assert sum(row.succeeded for row in JobRollup.objects.filter(span=Span.MINUTE, kind="")) == 0


@pytest.mark.django_db
def test_after_a_long_pause_it_catches_up(ada, now):
    ended(ada, now - timedelta(hours=20))
    ended(ada, now - timedelta(minutes=3))
    rollup.add_closed_minutes(now)
    assert sum(row.succeeded for row in JobRollup.objects.filter(span=Span.HOUR, kind="")) == 2
    # The minutes of twenty hours ago are not kept; the quarters are.
    assert sum(row.succeeded for row in JobRollup.objects.filter(span=Span.MINUTE, kind="")) == 1
    assert sum(row.succeeded for row in JobRollup.objects.filter(span=Span.QUARTER, kind="")) == 2


@pytest.mark.django_db
def test_the_sweep_adds_up(ada):
    ended(ada, timezone.now() - timedelta(minutes=3))
    call_command("sweep_stuck", "--dry-run")
    assert not JobRollup.objects.exists()
    assert not RollupState.objects.exists()
    call_command("sweep_stuck")
    assert sum(row.succeeded for row in JobRollup.objects.filter(span=Span.MINUTE, kind="")) == 1


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_add_nothing_twice(ada, now):
    for n in range(20):
        ended(ada, now - timedelta(minutes=2 + n))
    with racers() as race:
        with transaction.atomic():
            assert rollup.add_closed_minutes(now) > 0
            # While we are at it, another sweep leaves it to us and waits for nobody.
            assert race.go(lambda: rollup.add_closed_minutes(now)).result(PATIENCE) == 0
        assert race.go(lambda: rollup.add_closed_minutes(now)).result(PATIENCE) == 0
    assert sum(row.succeeded for row in JobRollup.objects.filter(span=Span.MINUTE, kind="")) == 20


@pytest.mark.django_db
def test_a_series_has_a_bar_for_every_stretch_also_where_nothing_ended(ada, now):
    ended(ada, now - timedelta(minutes=7), seconds=2, waited=1)
    rollup.add_closed_minutes(now)
    bars = series("hour", now=now)
    assert len(bars) == 60
    assert [bar.succeeded for bar in bars if bar.ended] == [1]
    (bar,) = [bar for bar in bars if bar.ended]
    assert (bar.run, bar.wait) == (2, 1)
    assert len(series("week", now=now)) == 168


@pytest.mark.django_db
def test_a_day_is_24_hours_of_the_clock_with_the_present_one(ada):
    for minutes, bars in ((0, 93), (14, 93), (15, 94), (44, 95), (59, 96)):
        day = series("day", now=NOON + timedelta(minutes=minutes))
        assert (len(day), day[0].start) == (bars, NOON - timedelta(hours=23))


@pytest.mark.django_db
def test_an_hour_is_the_last_that_is_counted(ada, now):
    rollup.add_closed_minutes(now - timedelta(minutes=20))
    assert series("hour")[-1].start == rollup.added_until() - timedelta(minutes=1)
    assert series("week")[-1].start == series("hour")[-1].start.replace(minute=0)
