"""An incident is open while the newest moment of a schedule that was not skipped was missed."""

from datetime import timedelta

import pytest

from alerts.incidents import reconcile
from alerts.models import Incident
from jobs.schedules import changes
from tests.jobs.schedules.rules import fire, ledger, off_for

pytestmark = pytest.mark.django_db

MINUTES = timedelta(minutes=1)


def test_it_says_which_schedule_and_why() -> None:
    off_for(75 * MINUTES, every=1800, catch_up="none")
    fire()
    reconcile.reconcile()
    found = Incident.objects.get()
    assert (found.cause, found.about, found.kind, found.severity) == ("schedule_missed", "nightly", "report", "warning")
    assert found.title == "Schedule nightly was missed"
    assert found.reason.startswith("3 moments of it, the last at ")
    assert found.reason.endswith("were missed. Nothing fired it within 1 m, and none is caught up.")


def test_a_moment_that_is_skipped_changes_nothing_and_a_job_ends_it() -> None:
    off_for(75 * MINUTES, every=1800, catch_up="none")
    fire()
    changes.skip("nightly")
    reconcile.reconcile()
    assert Incident.objects.get().clear_since is None
    changes.run_now("nightly")
    reconcile.reconcile()
    assert Incident.objects.get().clear_since is not None


def test_what_was_caught_up_opens_none() -> None:
    off_for(75 * MINUTES, every=1800)
    fire()
    assert ledger() == [("missed", 2), ("caught_up", 1)]
    reconcile.reconcile()
    assert not Incident.objects.exists()
