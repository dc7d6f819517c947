"""One new job is one statement, and comes to the same as one of several."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.enqueue import insert, pending
from jobs.enqueue.new_job import NewJob
from jobs.errors import TooManyPending
from jobs.models import Job, JobKind
from jobs.states import JobStatus

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def kind() -> JobKind:
    """The kind is there, as nearly always."""
    return JobKind.objects.create(name="sum", max_attempts=7)


def test_it_is_one_statement_that_returns_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # A busy machine may take so long between the two that what is pending would be counted again.
    monkeypatch.setattr(pending, "SHARE", 1e9)
    insert.enqueue_one(NewJob("sum", {}))
    with CaptureQueriesContext(connection) as queries:
        job, created = insert.enqueue_one(NewJob("sum", {"n": [1, None]}, key="k", priority=3))
    # In a test's transaction the notification waits for its end.
    assert len(queries) == 1
    assert created
    there = Job.objects.get(key="k")
    assert {f.attname: getattr(job, f.attname) for f in Job._meta.concrete_fields} == {
        f.attname: getattr(there, f.attname) for f in Job._meta.concrete_fields
    }
    assert (job.status, job.payload, job.priority, job.max_attempts) == (JobStatus.PENDING, {"n": [1, None]}, 3, 7)


@pytest.mark.parametrize("payload", [None, [], "", 0, {"a": "100 %s"}, "ä"])
def test_any_json_is_a_payload(payload: object) -> None:
    job, _ = insert.enqueue_one(NewJob("sum", payload))
    assert (job.payload, Job.objects.get().payload) == (payload, payload)


def test_it_has_the_time_and_the_attempts_that_it_brings() -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    job, _ = insert.enqueue_one(NewJob("sum", {}, run_at=later, max_attempts=2))
    assert (job.run_at, job.max_attempts) == (later, 2)


def test_a_key_that_exists_is_the_job_that_is_there() -> None:
    first, _ = insert.enqueue_one(NewJob("sum", {"n": 1}, key="k"))
    again, created = insert.enqueue_one(NewJob("sum", {"n": 2}, key="k"))
    assert (again.pk, again.payload, created) == (first.pk, {"n": 1}, "existing")


def test_a_new_kind_is_created() -> None:
    job, created = insert.enqueue_one(NewJob("divide", {}))
    assert created
    assert (job.kind_id, JobKind.objects.count()) == ("divide", 2)


def test_the_bound_of_a_kind_holds(kind: JobKind) -> None:
    kind.max_pending = 1
    kind.save()
    insert.enqueue_one(NewJob("sum", {}, key="k"))
    with pytest.raises(TooManyPending):
        insert.enqueue_one(NewJob("sum", {}))
    assert insert.enqueue_one(NewJob("sum", {}, key="k"))[1] == "existing"


def test_the_bound_of_all_kinds_holds_and_counts_each_job_once(settings: pytest.FixtureRequest) -> None:
    settings.MAX_PENDING = 2  # type: ignore[attr-defined]
    insert.enqueue_one(NewJob("sum", {}, key="k"))
    for _ in range(5):
        assert insert.enqueue_one(NewJob("sum", {}, key="k"))[1] == "existing"
    assert pending.figures.pending({pending.ALL: 2}) == {pending.ALL: 1}
    insert.enqueue_one(NewJob("divide", {}))
    with pytest.raises(TooManyPending):
        insert.enqueue_one(NewJob("sum", {}))
