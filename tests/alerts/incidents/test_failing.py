"""Kinds of whose jobs more fail than usual, by the rollup."""

from datetime import timedelta

import pytest
from django.utils import timezone

from alerts.models import Incident
from alerts.states import Cause, Severity
from jobs.models import JobRollup, RollupState
from jobs.states import Span
from jobs.stats import rollup
from tests.alerts.passing import look, minutes_pass, the_one
from tests.cast import take_one

pytestmark = pytest.mark.django_db


def floor(moment, width):
    seconds = int(width.total_seconds())
    return moment - timedelta(seconds=moment.timestamp() % seconds)


def tally(kind="sum", *, lately=(0, 0), past=(0, 0)):
    """So many jobs `(succeeded, failed)` ended five minutes ago, and in the past day, and no others."""
    now = timezone.now()
    # Those of an earlier call may be of another minute.
    JobRollup.objects.filter(kind=kind).delete()
    minute = floor(now, timedelta(minutes=1))
    RollupState.objects.update_or_create(pk=RollupState.ONLY, defaults={"added_until": minute})
    JobRollup.objects.create(
        span=Span.MINUTE, kind=kind, start=minute - timedelta(minutes=5), succeeded=lately[0], failed=lately[1]
    )
    quarter = floor(now, timedelta(minutes=15))
    for n in range(4, 14):
        JobRollup.objects.create(
            span=Span.QUARTER,
            kind=kind,
            start=quarter - n * timedelta(minutes=15),
            succeeded=past[0] // 10,
            failed=past[1] // 10,
        )


def test_a_jump_opens_an_incident_with_the_figures(told):
    tally(lately=(80, 20), past=(990, 10))
    assert look().opened == 1
    incident = the_one()
    assert (incident.cause, incident.about, incident.severity) == (Cause.FAILING, "sum", Severity.WARNING)
    assert incident.title == "sum jobs fail more often than usual: 20 %"
    assert incident.reason == "20 of 100 (20.0 %) failed in the last 15 m; on the day before: 10 of 1000 (1.0 %)."
    assert incident.usual == {"failed": 10, "ended": 1000}
    assert told == [("failing", "opened", 1, incident.title)]


def test_half_of_them_is_critical():
    tally(lately=(10, 10), past=(990, 10))
    look()
    assert the_one().severity == Severity.CRITICAL


def test_what_is_usual_is_no_incident():
    tally(lately=(80, 20), past=(800, 200))
    tally("divide", lately=(99, 1), past=(1000, 0))
    assert look().opened == 0


def test_it_does_not_become_usual_while_it_lasts():
    tally(lately=(80, 20), past=(990, 10))
    look()
    tally(lately=(80, 20), past=(800, 200))
    look()
    assert the_one().clear_since is None
    assert the_one().usual == {"failed": 10, "ended": 1000}


def test_it_resolves_when_jobs_go_as_before():
    tally(lately=(80, 20), past=(990, 10))
    look()
    tally(lately=(99, 1), past=(990, 10))
    look()
    minutes_pass(3)
    assert look().resolved == 1


def test_what_failed_longer_than_a_quarter_of_an_hour_ago_does_not_count_as_lately():
    tally(lately=(80, 20), past=(990, 10))
    JobRollup.objects.filter(span=Span.MINUTE, kind="sum").update(
        start=floor(timezone.now(), timedelta(minutes=1)) - timedelta(minutes=18)
    )
    assert look().opened == 0


def test_the_tally_of_real_failures_is_what_is_read(ada):
    tally(past=(1000, 0))
    JobRollup.objects.filter(span=Span.MINUTE).delete()
    for n in range(12):
        lease = take_one(ada)
        lease.fail(retry=False) if n % 2 else lease.complete(1)
    rollup.add_closed_minutes(timezone.now() + timedelta(minutes=2))
    look()
    assert the_one().reason.startswith("6 of 12 (50.0 %) failed in the last 15 m; on the day before: 0 of 1000")
    assert Incident.objects.count() == 1
