"""Jobs come in, all or none; a key that is there gives the job it has; a kind comes into being with its first job."""

import pytest

from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.models import Job, JobKind
from jobs.states import Added, JobStatus

pytestmark = pytest.mark.django_db


@pytest.fixture(params=[0, 10**9], ids=["by copy", "in one statement"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many jobs take another way into the table than few. What comes of them is the same."""
    monkeypatch.setattr(insert, "COPY_FROM", request.param)


def test_a_new_job_is_pending_and_due(db: None) -> None:
    ((job_id, added),) = insert.enqueue([NewJob("sum", {"numbers": [1]})])
    job = Job.objects.get()
    assert added == Added.CREATED
    assert (job.pk, job.status, job.attempt, job.payload) == (job_id, JobStatus.PENDING, 0, {"numbers": [1]})
    assert list(Job.objects.pending()) == [job]


def test_a_kind_comes_into_being_with_its_first_job(db: None) -> None:
    insert.enqueue([NewJob("new", {}), NewJob("new", {})])
    assert JobKind.objects.get().name == "new"


def test_a_job_has_its_kinds_attempts_unless_it_brings_its_own(db: None) -> None:
    JobKind.objects.create(name="sum", max_attempts=7)
    insert.enqueue([NewJob("sum", {}), NewJob("sum", {}, max_attempts=2)])
    assert list(Job.objects.order_by("id").values_list("max_attempts", flat=True)) == [7, 2]


def test_the_same_key_again_is_the_job_that_is_there(db: None) -> None:
    ((first, _),) = insert.enqueue([NewJob("sum", {"numbers": [1]}, key="k")])
    assert insert.enqueue([NewJob("sum", {"numbers": [2]}, key="k")]) == [(first, Added.EXISTING)]
    assert Job.objects.get().payload == {"numbers": [1]}


def test_the_same_key_of_another_kind_is_another_job(db: None) -> None:
    insert.enqueue([NewJob("sum", {}, key="k"), NewJob("divide", {}, key="k")])
    assert Job.objects.count() == 2


def test_of_the_same_key_twice_in_one_call_the_last_is_the_job(db: None) -> None:
    (first, one), (second, two) = insert.enqueue([NewJob("sum", 1, key="k"), NewJob("sum", 2, key="k")])
    assert first == second == Job.objects.get().pk
    assert (one, two) == (Added.EXISTING, Added.CREATED)
    assert Job.objects.get().payload == 2


def test_jobs_without_a_key_are_never_the_same(db: None) -> None:
    insert.enqueue([NewJob("sum", {}), NewJob("sum", {}), NewJob("sum", {}, key="")])
    assert Job.objects.filter(key=None).count() == 3


def test_ids_come_back_in_the_order_given(db: None) -> None:
    ((old, _),) = insert.enqueue([NewJob("sum", {}, key="old")])
    rows = insert.enqueue([NewJob("sum", {"n": 1}), NewJob("sum", {}, key="old"), NewJob("sum", {"n": 2})])
    assert [added for _, added in rows] == ["created", "existing", "created"]
    assert rows[1][0] == old
    assert [Job.objects.get(pk=pk).payload for pk, added in rows if added == Added.CREATED] == [{"n": 1}, {"n": 2}]


def test_a_payload_that_is_jsons_null_is_a_payload(db: None) -> None:
    insert.enqueue([NewJob("sum", None)])
    assert Job.objects.get().payload is None
