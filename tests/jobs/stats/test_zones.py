"""Hours and days are those of the site's time zone, also where they are not whole hours from UTC."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.utils import timezone

from jobs import lifecycle
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.lifecycle import By, Report
from jobs.models import JobRollup
from jobs.release_patterns.params import ReportParams
from jobs.release_patterns.report import build
from jobs.states import Span
from jobs.stats import rollup
from jobs.stats.series import series

pytestmark = pytest.mark.django_db

ZONES = ["Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns", "Pacific/Chatham", "Australia/Lord_Howe", "UTC",
         "Europe/Vienna", "America/New_York"]  # fmt: skip
#: Five past, a quarter past, half past, a quarter to and five to, by UTC: no two in one hour everywhere.
MOMENTS = [datetime(2026, 3, 5, 12, minute, tzinfo=UTC) + timedelta(hours=3 * n)
           for n in range(8) for minute in (5, 20, 35, 50)]  # fmt: skip


@pytest.fixture(params=ZONES)
def zone(request, settings):
    settings.TIME_ZONE = request.param
    return ZoneInfo(request.param)


def let_leases_end(bot, moments):
    """The bot completed a job at each of these moments."""
    insert.enqueue([NewJob("sum", {}) for _ in moments])
    claimed = lifecycle.claim(bot, limit=len(moments))
    lifecycle.complete([Report(job.id, job.attempt, result=1) for job in claimed], by=By.bot(bot))
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE jobs_job SET finished_at = %s WHERE id = %s",
            [(moment, job.id) for moment, job in zip(moments, claimed, strict=True)],
        )


@pytest.fixture
def ended(zone, ada):
    """A lease ended at each of these moments."""
    let_leases_end(ada, MOMENTS)
    rollup.add_closed_minutes(MOMENTS[-1] + timedelta(hours=2))


def hour(moment, zone):
    return moment.astimezone(zone).replace(minute=0, second=0, microsecond=0)


def test_hours_and_days_begin_where_the_sites_do(ended, zone):
    hours = {row.start: row.succeeded for row in JobRollup.objects.filter(span=Span.HOUR, kind="sum")}
    assert hours == Counter(hour(moment, zone) for moment in MOMENTS)
    days = {row.start: row.succeeded for row in JobRollup.objects.filter(span=Span.BOT_DAY, kind="sum")}
    assert days == Counter(hour(moment, zone).replace(hour=0) for moment in MOMENTS)


def test_the_hourly_chart_of_a_day_has_each_lease_in_its_hour(ended, zone):
    for day in {moment.astimezone(zone).date() for moment in MOMENTS}:
        found = build(ReportParams.from_params({"from": str(day), "to": str(day)}))
        expected = Counter(hour(m, zone).hour for m in MOMENTS if m.astimezone(zone).date() == day)
        assert {bar.start.hour: bar.leases for bar in found.bars if bar.leases} == expected
        assert all(bar.start.minute == 0 for bar in found.bars)


def test_the_last_24_hours_are_whole_hours_of_the_site(ended, zone):
    found = build(ReportParams.from_params({"range": "24h"}))
    assert len(found.bars) == 24
    assert all(bar.start.minute == 0 for bar in found.bars)
    expected = [moment for moment in MOMENTS if moment >= found.since]
    assert sum(bar.leases for bar in found.bars) == found.conclusions.leases == len(expected)


def test_the_week_has_each_lease_under_its_weekday_and_hour(ended, zone):
    local = [moment.astimezone(zone) for moment in MOMENTS]
    first, last = local[0].date(), local[-1].date()
    found = build(ReportParams.from_params({"from": str(first), "to": str(last)}))
    assert {pair: n for pair, (_, n) in found.heat.items()} == Counter((m.isoweekday(), m.hour) for m in local)


def test_homes_week_has_whole_hours_of_the_site(ended, zone):
    with timezone.override(zone):
        bars = series("week", now=MOMENTS[-1] + timedelta(hours=2))
    assert len(bars) == 168
    assert {bar.start: bar.ended for bar in bars if bar.ended} == Counter(hour(moment, zone) for moment in MOMENTS)


@pytest.mark.parametrize("name", ["Asia/Kolkata", "Asia/Kathmandu"])
def test_hours_that_were_added_up_in_another_zone_are_shown_in_the_hour_they_begin_in(settings, name, ada):
    settings.TIME_ZONE = name
    noon = datetime(2026, 3, 5, 6, 0, tzinfo=UTC)
    for n in range(4):
        for kind in ("sum", ""):
            JobRollup.objects.create(span=Span.HOUR, start=noon + n * timedelta(hours=1), kind=kind, succeeded=25)
    rollup.add_closed_minutes(noon + timedelta(days=1))
    found = build(ReportParams.from_params({"from": "2026-03-05", "to": "2026-03-05"}))
    assert [bar.leases for bar in found.bars if bar.leases] == [25] * 4
    assert {bar.start.hour for bar in found.bars if bar.leases} == {11, 12, 13, 14}


def test_a_day_of_the_clock_change_has_all_its_hours(settings, ada):
    settings.TIME_ZONE = "Australia/Lord_Howe"  # half an hour back on this day, and no whole one
    day = date(2026, 4, 5)
    let_leases_end(ada, [datetime(2026, 4, 4, 13, 5, tzinfo=UTC) + n * timedelta(minutes=29) for n in range(50)])
    rollup.add_closed_minutes(datetime(2026, 4, 6, 13, 0, tzinfo=UTC))
    found = build(ReportParams.from_params({"from": str(day), "to": str(day)}))
    assert sum(bar.leases for bar in found.bars) == 50
