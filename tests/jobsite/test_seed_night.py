"""`manage.py seed --night` writes an outage of a size that pages are tried with."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from alerts.models import Incident
from bots.models import Bot
from jobs.models import Job, JobRollup
from jobs.stats import rollup
from jobs.stats.series import series
from jobsite.dev import seeding

pytestmark = pytest.mark.django_db


def ended():
    return sum(row.succeeded + row.failed for row in JobRollup.objects.filter(span="hour", kind=""))


def test_a_bad_night_has_the_size_of_a_real_one(settings):
    settings.DEBUG = True
    call_command("seed", "1000", "--night")
    stuck = Job.objects.stuck()
    assert (stuck.count(), stuck.filter(kind="crawl").count()) == (97, 40)
    assert len(set(stuck.values_list("kind", flat=True))) == 10
    assert Bot.objects.count() == 203
    assert Job.objects.pending().count() == 10_400
    failed = Job.objects.filter(status="failed").values_list("error", flat=True)
    assert (len(failed), sum("Timeout" in error for error in failed)) == (79, 52)
    assert Incident.objects.open().filter(cause="stuck").exists()
    # Bots whose jobs went back to the queue, and that were not seen since.
    assert Bot.objects.stuck().filter(stuck_job=None).exists()
    assert ended() > 900
    # The charts of backlogs show how it grew.
    (*_, before, now) = [bar.due for bar in series("day", "crawl")][:-1]
    assert 5000 < before <= now


@pytest.mark.django_db(transaction=True)
def test_the_past_of_a_used_database_is_counted_as_well(settings):
    settings.DEBUG = True
    rollup.add_closed_minutes(timezone.now() + timedelta(minutes=2))
    seeding.seed(500, 3, lambda n: None)
    before = ended()
    assert before > 400
    seeding.seed(500, 3, lambda n: None)
    assert ended() == pytest.approx(2 * before, rel=0.1)
