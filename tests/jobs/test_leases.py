"""How leases ended is added up once, by kind, by bot and by time, whatever becomes of the jobs."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import Sum
from django.utils import timezone

from jobs import leases, lifecycle
from jobs.lifecycle import By
from jobs.models import JobEvent, LeaseTally
from jobs.release_patterns.samples import given_back
from jobs.states import LeaseSpan
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
    rows = LeaseTally.objects.filter(**where).aggregate(**{f"sum_{way}": Sum(way) for way in leases.WAYS})
    return tuple(rows[f"sum_{way}"] or 0 for way in leases.WAYS)


def test_each_lease_counts_once_in_the_way_it_ended(ended, ada, bob):
    leases.keep(NOON + timedelta(minutes=5))
    # succeeded, failed, cancelled, released, expired, handed back
    assert sums(span=LeaseSpan.BOT_DAY, bot=ada.pk) == (1, 1, 1, 1, 2, 1)
    assert sums(span=LeaseSpan.BOT_HOUR, bot=ada.pk) == (1, 1, 1, 1, 2, 1)
    assert sums(span=LeaseSpan.BOT_DAY, bot=bob.pk) == (2, 0, 0, 1, 0, 0)
    assert sums(span=LeaseSpan.HOUR, bot=0) == (3, 1, 1, 2, 2, 1)
    assert sums(span=LeaseSpan.HOUR, kind="divide") == (1, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("way", leases.SOURCES)
def test_the_statement_and_the_conditions_mean_the_same_by_each_way(ended, way):
    leases.keep(NOON + timedelta(minutes=5))
    of_events = JobEvent.objects.filter(given_back([way])).count()
    assert of_events == sums(span=LeaseSpan.HOUR)[leases.WAYS.index(way)] > 0


def test_a_minute_is_added_up_once_however_often(ended):
    for _ in range(3):
        leases.keep(NOON + timedelta(minutes=5))
    leases.keep(NOON + timedelta(hours=1))
    assert sums(span=LeaseSpan.HOUR) == (3, 1, 1, 2, 2, 1)
    assert LeaseTally.objects.filter(span=LeaseSpan.MARK).count() == 1


def test_what_ends_later_is_added_to_its_hour_and_day(ada, bob):
    for n in range(3):
        moment = NOON + timedelta(minutes=10 * n)
        lease = take_one(ada)
        lease.complete(1)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE jobs_job SET finished_at = %s WHERE id = %s", [moment, lease.id])
        leases.keep(moment + timedelta(minutes=2))
    (day,) = LeaseTally.objects.filter(span=LeaseSpan.BOT_DAY)
    assert (day.succeeded, day.bot, day.start) == (3, ada.pk, datetime(2026, 3, 5, tzinfo=UTC))


def test_a_minute_that_is_not_over_waits(ended):
    assert leases.keep(NOON + timedelta(seconds=20)) == 0
    assert sums() == (0,) * 6
    assert leases.keep(NOON + timedelta(minutes=1, seconds=31)) == 1
    assert leases.mark() == NOON + timedelta(minutes=1)


def test_a_past_before_there_was_a_tally_is_added_up_at_once(ended, monkeypatch):
    now = NOON + timedelta(days=3)
    assert leases.keep(now) == 3 * 24 * 60 - 1
    assert sums(span=LeaseSpan.BOT_DAY) == (3, 1, 1, 2, 2, 1)
    # Of bots, hours are kept for two days.
    assert sums(span=LeaseSpan.BOT_HOUR) == (0,) * 6


def test_what_is_old_goes(ended):
    leases.keep(NOON + timedelta(minutes=5))
    leases.keep(NOON + timedelta(days=2, hours=3))
    assert sums(span=LeaseSpan.BOT_HOUR) == (0,) * 6
    leases.keep(NOON + timedelta(days=96))
    assert set(LeaseTally.objects.values_list("span", flat=True)) == {LeaseSpan.MARK}


def test_an_empty_house_has_nothing_to_add_up(db):
    assert leases.keep(NOON) == 0
    assert leases.mark() is None


def test_every_sweep_keeps_it(ended, capsys):
    moved(timezone.now() - timedelta(minutes=5))
    call_command("sweep_stuck", dry_run=True)
    assert leases.mark() is None
    call_command("sweep_stuck")
    assert sums(span=LeaseSpan.HOUR) == (3, 1, 1, 2, 2, 1)


def test_figures_outlive_jobs_and_bots(ended, ada):
    leases.keep(NOON + timedelta(minutes=5))
    JobEvent.objects.all().delete()
    assert sums(span=LeaseSpan.BOT_DAY, bot=ada.pk) == (1, 1, 1, 1, 2, 1)


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
    leases.keep(at + timedelta(minutes=5))
    (day,) = LeaseTally.objects.filter(span=LeaseSpan.BOT_DAY)
    assert day.start == datetime.fromisoformat(begins)
    assert timezone.localtime(day.start, ZoneInfo(zone)).hour == 0


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_add_up_each_minute_once(ended):
    now = NOON + timedelta(minutes=5)
    with racers() as race:
        with transaction.atomic():
            assert leases.keep(now) > 0
            # Another sweep leaves it to us, and waits for nobody.
            assert race.go(lambda: leases.keep(now)).result(PATIENCE) == 0
        assert race.go(lambda: leases.keep(now)).result(PATIENCE) == 0
    assert sums(span=LeaseSpan.HOUR) == (3, 1, 1, 2, 2, 1)
