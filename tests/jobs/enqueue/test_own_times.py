"""A new job may say when it is due, by when it must be begun, and which limits it has in place of its kind's."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from bots.models import Bot
from jobs import lifecycle
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.models import Job, JobKind
from tests.api.calls import refused, send
from tests.cast import enqueue_one, make_older, take_one

pytestmark = pytest.mark.django_db

LATER = datetime(2090, 1, 2, tzinfo=UTC)


@pytest.fixture(params=["few", "many", "one", "replaced"])
def added(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that adds a job by one of the ways into the table, and returns it."""

    def add(**fields: Any) -> Job:
        new = NewJob("sum", {}, key="k", unique="pending", on_conflict="replace", **fields)
        if request.param == "one":
            JobKind.objects.get_or_create(name="sum")
            return insert.enqueue_one(new)[0]
        if request.param == "many":
            monkeypatch.setattr(insert, "COPY_FROM", 0)
        if request.param == "replaced":
            enqueue_one(key="k", unique="pending", run_within=1, start_by=LATER)
        ((job_id, _),) = insert.enqueue([new])
        return Job.objects.get(pk=job_id)

    return add


def test_a_job_without_any_has_none(added: Any) -> None:
    job = added()
    assert (job.start_by, job.run_within, job.heartbeat_within, job.backoff) == (None, None, None, None)


def test_a_job_has_its_own(added: Any) -> None:
    job = added(delay=3600, start_by=LATER, run_within=90, heartbeat_within=0.5, backoff=7)
    job.refresh_from_db()
    assert 3500 < (job.run_at - timezone.now()).total_seconds() <= 3600
    assert (job.start_by, job.run_within, job.heartbeat_within, job.backoff) == (
        LATER, timedelta(seconds=90), timedelta(seconds=0.5), timedelta(seconds=7),
    )  # fmt: skip


def test_its_kind_says_until_when_it_may_be_begun(added: Any) -> None:
    JobKind.objects.create(name="sum", drop_after=timedelta(minutes=10))
    job = added(run_at=LATER)
    job.refresh_from_db()
    assert job.start_by == LATER + timedelta(minutes=10)


def test_one_that_was_due_before_it_came_has_that_time_from_then_on(added: Any) -> None:
    JobKind.objects.create(name="sum", drop_after=timedelta(minutes=10))
    job = added(run_at=datetime(2020, 1, 1, tzinfo=UTC))
    job.refresh_from_db()
    assert timedelta(minutes=9) < job.start_by - timezone.now() <= timedelta(minutes=10)


@pytest.mark.parametrize("count", [3, 300])
def test_jobs_without_options_of_such_a_kind_have_it_too(count: int) -> None:
    JobKind.objects.create(name="sum", drop_after=timedelta(minutes=10))
    insert.enqueue([NewJob("sum", n) for n in range(count)])
    assert Job.objects.filter(start_by__isnull=False).count() == count


def test_by_the_api(client: Client, olga_key: str) -> None:
    body = {"kind": "sum", "delay": 60, "start_by": "2090-01-02T00:00:00Z", "run_within": 5, "heartbeat_within": 2}
    answer = send(client, olga_key, "POST", "/jobs", body | {"backoff": 1.5})
    assert answer.status_code == 201, answer.content
    job = answer.json()
    assert (job["start_by"], job["run_within"], job["heartbeat_within"], job["backoff"], job["deferrals"]) == (
        "2090-01-02T00:00:00.000000Z", 5, 2, 1.5, 0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"delay": 1, "run_at": "2090-01-02T00:00:00Z"}, "delay"),
        ({"delay": -1}, "delay"),
        ({"start_by": "2090-01-02T00:00:00Z", "run_at": "2090-01-02T00:00:00Z"}, "start_by"),
        ({"run_within": 0}, "run_within"),
        ({"heartbeat_within": "2 m"}, "heartbeat_within"),
        ({"backoff": 1e9}, "backoff"),
    ],
)
def test_what_cannot_be_is_refused_by_name(client: Client, olga_key: str, fields: Any, field: str) -> None:
    problem = refused(send(client, olga_key, "POST", "/jobs", {"kind": "sum"} | fields), 422, "invalid")
    assert field in problem["errors"][0]["field"]
    assert not Job.objects.exists()


def test_a_csv_file_has_them(client: Client, olga_key: str) -> None:
    text = b"kind,delay,start_by,run_within\nsum,60,2090-01-02T00:00:00Z,2.5\n"
    headers = {"Authorization": f"Bearer {olga_key}"}
    answer = client.generic("POST", "/api/v1/jobs/bulk", text, content_type="text/csv", headers=headers)
    assert answer.status_code == 201, answer.content
    assert Job.objects.get().run_within == timedelta(seconds=2.5)


def test_a_job_is_graded_by_its_own_limits(ada: Bot) -> None:
    lease = take_one(ada, heartbeat_within=600, run_within=7200)
    other = take_one(ada)
    assert (lease.job.deadline_at - timezone.now()).total_seconds() > 500
    for one in (lease, other):
        make_older(one, 5)
    grades = {check.lease.job_id: check.grade.signal for check in lifecycle.check_leases(Job.objects.held())}
    assert grades == {lease.id: None, other.id: "silent"}
    assert [job.pk for job in Job.objects.stuck()] == [other.id]
