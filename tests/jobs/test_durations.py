"""Durations that no date can hold are refused at each entrance, and the longest that are not do no harm."""

from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from alerts.models import Channel
from bots.models import Bot
from jobs.bounds import MAX_BACKOFF, MAX_DURATION
from jobs.models import Job, JobKind
from tests.cast import enqueue_one, take_one

pytestmark = pytest.mark.django_db

KIND = {
    "backoff": MAX_BACKOFF, "start_within": MAX_DURATION, "heartbeat_within": MAX_DURATION, "run_within": MAX_DURATION,
    "wait_within": MAX_DURATION, "keep_for": MAX_DURATION,
}  # fmt: skip
TOO_LONG = ["36500 00:00:01", "3000000 00:00:00", "300000000 00:00:00", "99999999999 00:00:00"]
#: A year of which dates have no place in Python.
AGES = timedelta(days=3_000_000)


@pytest.fixture
def people(client: Client, admin_user: Any) -> Client:
    client.force_login(admin_user)
    return client


@pytest.mark.parametrize("text", TOO_LONG)
@pytest.mark.parametrize("field", KIND)
def test_a_kinds_form_refuses_a_duration_that_is_too_long(people: Client, field: str, text: str) -> None:
    kind = JobKind.objects.create(name="sum")
    page = reverse("admin:jobs_jobkind_change", args=["sum"])
    form = people.get(page).context["adminform"].form
    sent = {name: form[name].value() or "" for name in form.fields} | {field: text}
    errors = people.post(page, sent).context["adminform"].form.errors
    assert list(errors) == [field], errors
    kind.refresh_from_db()
    assert getattr(kind, field) == JobKind._meta.get_field(field).get_default()


@pytest.mark.parametrize("field", KIND)
def test_the_database_refuses_it_too(field: str) -> None:
    kind = JobKind.objects.create(name="sum", **KIND)
    with pytest.raises(IntegrityError, match="jobkind_durations_bounded"), transaction.atomic():
        JobKind.objects.filter(pk=kind.pk).update(**{field: KIND[field] + timedelta(microseconds=1)})


@pytest.mark.parametrize("field", ["after", "again_every"])
def test_a_channels_durations_are_bounded_too(field: str) -> None:
    channel = Channel.objects.create(name="ops", after=MAX_DURATION, again_every=MAX_DURATION)
    channel.full_clean(exclude=["address"])
    with pytest.raises(IntegrityError, match="channel_durations_bounded"), transaction.atomic():
        Channel.objects.update(**{field: AGES})


def test_with_the_longest_durations_everything_works(people: Client, ada: Bot, ada_token: str) -> None:
    JobKind.objects.create(name="sum", max_attempts=1000, **KIND)
    lease = take_one(ada, kind="sum", max_attempts=1000)
    # The eleventh failure has the longest delay.
    Job.objects.filter(pk=lease.id).update(attempt=11)
    lease = replace(lease, attempt=11)
    lease.fail("no file")
    job = Job.objects.get(pk=lease.id)
    assert (job.status, job.run_at > job.created_at + timedelta(days=20_000)) == ("pending", True)

    enqueue_one("sum")
    headers = {"authorization": f"Bearer {ada_token}"}
    claim = people.post("/api/v1/claim", "{}", content_type="application/json", headers=headers)
    assert len(claim.json()["jobs"]) == 1
    call_command("sweep_stuck", verbosity=0)
    held = claim.json()["jobs"][0]["id"]
    for page in (
        reverse("admin:index"),
        reverse("admin:jobs_job_changelist"),
        reverse("admin:jobs_job_changelist") + "?view=scheduled",
        reverse("admin:jobs_job_change", args=[held]),
        reverse("admin:jobs_job_change", args=[lease.id]),
        reverse("admin:jobs_jobkind_changelist"),
        reverse("admin:jobs_jobkind_change", args=["sum"]),
        reverse("admin:bots_bot_change", args=[ada.pk]),
    ):
        assert people.get(page).status_code == 200, page
    call_command("explain", str(held), verbosity=0)


def test_a_migration_shortens_what_is_there_and_changes_nothing_else() -> None:
    good = JobKind.objects.create(name="good", run_within=None, wait_within=timedelta(0))
    bad = JobKind.objects.create(name="bad")
    before = JobKind.objects.filter(pk=good.pk).values().get()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE jobs_jobkind DROP CONSTRAINT jobkind_durations_bounded")
        JobKind.objects.filter(pk=bad.pk).update(**dict.fromkeys(KIND, AGES))
        cursor.execute(import_module("jobs.migrations.0026_durations_bounded").SHORTEN)
    bad.refresh_from_db()
    assert {name: getattr(bad, name) for name in KIND} == KIND
    assert JobKind.objects.filter(pk=good.pk).values().get() == before
