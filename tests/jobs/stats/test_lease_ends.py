"""How leases ended is added up once, by kind, by bot and by time, whatever becomes of the jobs."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import Sum
from django.utils import timezone

from jobs import lifecycle
from jobs.lifecycle import By
from jobs.models import JobEvent, JobRollup, RollupState
from jobs.release_patterns.samples import SOURCES, is_returned
from jobs.release_patterns.sums import COLUMNS as WAYS
from jobs.states import Span
from jobs.stats import rollup
from tests.cast import enqueue_one, take_one
from tests.race import PATIENCE, racers

NOON = datetime(2026, 3, 5, 12, 0, tzinfo=UTC)


@pytest.fixture
def ended(db, olga, ada, bob):
    """Leases that ended in every way; ada has one of each, bob two that went well and one that was released."""
    held = [take_one(ada) for _ in range(7)]
    of_bob = [take_one(bob), take_one(bob), take_one(bob, kind="divide")]
    done, failed, back, cancelled, released, expired, given_up = held
    for lease in (done, *of_bob[1:]):
        lease.complete(1)
    failed.fail()
    back.hand_back()
    lifecycle.cancel([cancelled.id], by=By.operator(olga))
    lifecycle.release([released.id, of_bob[0].id], by=By.operator(olga))
    lifecycle.expire([expired.id], by=lifecycle.SWEEP, reasons={expired.id: "silent"})
    lifecycle.give_up([given_up.id], by=lifecycle.SWEEP, reasons={given_up.id: "silent"})
    # Nobody held this one.
    lifecycle.cancel([enqueue_one().pk], by=By.operator(olga))
    moved()


def moved(to=NOON):
    """All that has ended has ended at this moment."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET finished_at = %s WHERE finished_at IS NOT NULL", [to])
        cursor.execute("UPDATE jobs_jobevent SET at = %s", [to])


def sums(**where):
    """In `WAYS`: of all kinds, or of those that are named."""
    rows = JobRollup.objects.filter(**where).exclude(kind="").exclude(span=Span.TOTAL)
    found = rows.aggregate(**{f"sum_{column}": Sum(column) for way in WAYS.values() for column in way})
    return tuple(sum(found[f"sum_{column}"] or 0 for column in way) for way in WAYS.values())


def test_each_lease_counts_once_in_the_way_it_ended(ended, ada, bob):
    rollup.add_closed_minutes(NOON + timedelta(minutes=5))
    # succeeded, failed, cancelled, released, expired, handed back
    assert sums(span=Span.BOT_DAY, bot=ada.pk) == (1, 1, 1, 1, 2, 1)
    assert sums(span=Span.BOT_HOUR, bot=ada.pk) == (1, 1, 1, 1, 2, 1)
    assert sums(span=Span.BOT_DAY, bot=bob.pk) == (2, 0, 0, 1, 0, 0)
    assert sums(span=Span.HOUR, bot=0) == (3, 1, 1, 2, 2, 1)
    assert sums(span=Span.HOUR, kind="divide") == (1, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("way", SOURCES)
def test_the_statement_and_the_conditions_mean_the_same_by_each_way(ended, way):
    rollup.add_closed_minutes(NOON + timedelta(minutes=5))
    of_events = JobEvent.objects.filter(is_returned([way])).count()
    assert of_events == sums(span=Span.HOUR)[list(WAYS).index(way)] > 0


def test_a_minute_is_added_up_once_however_often(ended):
    for _ in range(3):
        rollup.add_closed_minutes(NOON + timedelta(minutes=5))
    rollup.add_closed_minutes(NOON + timedelta(hours=1))
    assert sums(span=Span.HOUR) == (3, 1, 1, 2, 2, 1)
    assert RollupState.objects.count() == 1


def test_what_ends_later_is_added_to_its_hour_and_day(ada, bob):
    for n in range(3):
        moment = NOON + timedelta(minutes=10 * n)
        lease = take_one(ada)
        lease.complete(1)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE jobs_job SET finished_at = %s WHERE id = %s", [moment, lease.id])
        rollup.add_closed_minutes(moment + timedelta(minutes=2))
    (day,) = JobRollup.objects.filter(span=Span.BOT_DAY)
    assert (day.succeeded, day.bot, day.start) == (3, ada.pk, datetime(2026, 3, 5, tzinfo=UTC))


def test_a_minute_that_is_not_over_waits(ended):
    assert rollup.add_closed_minutes(NOON + timedelta(seconds=20)) == 0
    assert sums() == (0,) * 6
    # The first time it only recorded where it begins: with the minute before.
    assert rollup.add_closed_minutes(NOON + timedelta(minutes=1, seconds=31)) == 2
    assert sums(span=Span.HOUR) == (3, 1, 1, 2, 2, 1)
    assert rollup.added_until() == NOON + timedelta(minutes=1)


def test_a_past_before_there_was_a_tally_is_added_up_at_once(ended, monkeypatch):
    now = NOON + timedelta(days=3)
    assert rollup.add_closed_minutes(now) == 3 * 24 * 60 - 1
    assert sums(span=Span.BOT_DAY) == (3, 1, 1, 2, 2, 1)
    # Of bots, hours are kept for two days.
    assert sums(span=Span.BOT_HOUR) == (0,) * 6


def test_what_is_old_goes(ended):
    rollup.add_closed_minutes(NOON + timedelta(minutes=5))
    rollup.add_closed_minutes(NOON + timedelta(days=2, hours=3))
    assert sums(span=Span.BOT_HOUR) == (0,) * 6
    rollup.add_closed_minutes(NOON + timedelta(days=96))
    # The backlog of now stays.
    assert set(JobRollup.objects.filter(pending=None).values_list("span", flat=True)) == {Span.TOTAL}


def test_where_nothing_has_ended_it_begins_now(db):
    assert rollup.added_until() is None
    assert rollup.add_closed_minutes(NOON) == 0
    assert rollup.added_until() == NOON - timedelta(minutes=1)
    # But for the backlog, which is none.
    assert not JobRollup.objects.exclude(pending=0, due=0).exists()


def test_every_sweep_keeps_it(ended, capsys):
    moved(timezone.now() - timedelta(minutes=5))
    call_command("sweep_stuck", dry_run=True)
    assert rollup.added_until() is None
    call_command("sweep_stuck")
    assert sums(span=Span.HOUR) == (3, 1, 1, 2, 2, 1)


def test_figures_outlive_jobs_and_bots(ended, ada):
    rollup.add_closed_minutes(NOON + timedelta(minutes=5))
    JobEvent.objects.all().delete()
    assert sums(span=Span.BOT_DAY, bot=ada.pk) == (1, 1, 1, 1, 2, 1)


@pytest.mark.parametrize(
    ("zone", "moment", "begins"),
    [
        ("Europe/Vienna", "2026-03-29T00:30+01:00", "2026-03-29T00:00+01:00"),
        ("Europe/Vienna", "2026-03-29T23:30+02:00", "2026-03-29T00:00+01:00"),
        ("Europe/Vienna", "2026-10-25T23:59+01:00", "2026-10-25T00:00+02:00"),
        ("America/New_York", "2026-03-04T23:30-05:00", "2026-03-04T00:00-05:00"),
        ("Asia/Kolkata", "2026-03-05T00:10+05:30", "2026-03-05T00:00+05:30"),
    ],
)
def test_a_day_begins_at_midnight_where_the_site_is(ada, settings, zone, moment, begins):
    settings.TIME_ZONE = zone
    at = datetime.fromisoformat(moment)
    take_one(ada).complete(1)
    moved(at)
    rollup.add_closed_minutes(at + timedelta(minutes=5))
    (day,) = JobRollup.objects.filter(span=Span.BOT_DAY)
    assert day.start == datetime.fromisoformat(begins)
    assert timezone.localtime(day.start, ZoneInfo(zone)).hour == 0


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_add_up_each_minute_once(ended):
    now = NOON + timedelta(minutes=5)
    with racers() as race:
        with transaction.atomic():
            assert rollup.add_closed_minutes(now) > 0
            # Another sweep leaves it to us, and waits for nobody.
            assert race.go(lambda: rollup.add_closed_minutes(now)).result(PATIENCE) == 0
        assert race.go(lambda: rollup.add_closed_minutes(now)).result(PATIENCE) == 0
    assert sums(span=Span.HOUR) == (3, 1, 1, 2, 2, 1)
