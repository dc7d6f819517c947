"""A `run_at` from before there was a job is no waiting time: waits count from the later of both."""

import re
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db.models import F
from django.test import Client
from django.urls import reverse

from alerts.models import Incident
from bots.models import Bot
from jobs.explain.timeline import timeline
from jobs.explain.why import explain
from jobs.models import Job, JobRollup
from jobs.stats import counts
from jobs.stats.rollup import add_closed_minutes
from tests.cast import Lease, enqueue_one, take_one

pytestmark = pytest.mark.django_db

PAST = datetime(1971, 1, 1, tzinfo=UTC)


@pytest.fixture
def job() -> Job:
    return enqueue_one(run_at=PAST)


def test_no_incident_opens_for_a_job_that_has_just_come(job: Job) -> None:
    call_command("sweep_stuck", stdout=StringIO())
    assert not Incident.objects.exists()


def test_one_opens_when_it_has_waited_since_it_came(job: Job) -> None:
    Job.objects.update(created_at=F("created_at") - timedelta(hours=2))
    call_command("sweep_stuck", stdout=StringIO())
    assert "has been due for 2 h" in Incident.objects.get(cause="waiting").reason


def test_the_oldest_of_a_kind_has_its_own_age(job: Job) -> None:
    (row,) = counts.oldest_pending()
    assert row["id"] == job.pk
    assert row["age"] < 600
    assert row["due_since"] == job.created_at


def test_a_kind_is_as_late_as_its_oldest_job_of_any_priority(job: Job) -> None:
    late = enqueue_one(priority=-5)
    Job.objects.filter(pk=late.pk).update(
        run_at=F("run_at") - timedelta(hours=3), created_at=F("created_at") - timedelta(hours=3)
    )
    (row,) = counts.oldest_pending()
    assert row["id"] == late.pk


def test_explain_and_the_pages_count_from_when_it_came(client: Client, admin_user: object, job: Job) -> None:
    client.force_login(admin_user)  # type: ignore[arg-type]
    (due,) = [line for line in explain(job).evidence if line.about == "due"]
    assert re.match(r"since \d+ s ago", due.says), due.says
    for page in (reverse("admin:index"), reverse("admin:jobs_job_changelist"), f"/admin/jobs/job/{job.pk}/change/"):
        # A day of 1971 is some 20 000 days ago.
        assert " d ago" not in client.get(page).content.decode().replace("\u202f", "")


@pytest.fixture
def done(ada: Bot) -> Lease:
    lease = take_one(ada, run_at=PAST)
    lease.complete()
    return lease


def test_of_a_finished_one_the_wait_is_short(done: Lease) -> None:
    (waited,) = [line for line in explain(done.job).evidence if line.about == "waited"]
    assert waited.figures["seconds"] < 600
    assert not [step for step in timeline(done.job, []) if " d" in step.text]


def test_the_figures_of_waits_are_short(done: Lease) -> None:
    Job.objects.update(finished_at=F("finished_at") - timedelta(minutes=3))
    add_closed_minutes()
    rollup = JobRollup.objects.get(span="minute", kind="sum")
    assert (rollup.waits, rollup.waited < 600) == (1, True)
