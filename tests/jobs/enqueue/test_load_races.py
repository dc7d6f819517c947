"""Two producers with many jobs at once: the same keys, the same new kinds, in whatever order."""

import threading
from collections.abc import Callable

import pytest
from django.db import OperationalError, connection, transaction
from psycopg.errors import DeadlockDetected

from jobs.enqueue import incoming, insert
from jobs.enqueue.copy import Rows
from jobs.enqueue.insert import Enqueued
from jobs.enqueue.new_job import NewJob
from jobs.models import Job, JobKind
from tests.cast import enqueue_one
from tests.race import PATIENCE, racers

pytestmark = pytest.mark.django_db(transaction=True)


def many(jobs: list[NewJob]) -> Enqueued:
    """Enqueue them as from a file."""
    with Rows() as rows:
        for job in jobs:
            rows.add(job)
        return insert.enqueue_rows(rows, ids=True)


def keyed(numbers: range) -> list[NewJob]:
    return [NewJob("sum", n, key=f"{n:04}") for n in numbers]


def test_the_same_keys_from_two_producers_are_one_job_each(db: None) -> None:
    enqueue_one()
    with racers() as run:
        with transaction.atomic():
            mine = many(keyed(range(10)))
            other = run.go_and_block(lambda: many(keyed(range(5, 15))))
        theirs = other.result(PATIENCE)
    assert (mine.created, theirs.created, theirs.existing) == (10, 5, 5)
    assert mine.jobs is not None
    assert theirs.jobs is not None
    assert [job_id for job_id, _ in theirs.jobs[:5]] == [job_id for job_id, _ in mine.jobs[5:]]


@pytest.mark.parametrize("sorted_rows", [10_000, 0], ids=["few, by key", "many, as they come"])
def test_the_same_keys_and_new_kinds_in_opposite_orders_all_come_in(
    db: None, monkeypatch: pytest.MonkeyPatch, sorted_rows: int
) -> None:
    monkeypatch.setattr(incoming, "SORTED_ROWS", sorted_rows)
    jobs = [NewJob(f"kind {n % 7}", n, key=f"{n:04}") for n in range(400)]
    ready = threading.Barrier(4)

    def produce(mine: list[NewJob]) -> int:
        ready.wait(PATIENCE)
        return many(mine).created

    with racers() as run:
        orders = [jobs, jobs[::-1], jobs[200:] + jobs[:200], jobs[::2] + jobs[1::2][::-1]]
        futures = [run.go(lambda mine=mine: produce(mine)) for mine in orders]  # type: ignore[misc]
        assert sum(future.result(PATIENCE * 3) for future in futures) == 400
    assert Job.objects.count() == 400
    assert JobKind.objects.count() == 7


def wait_for_each_other(monkeypatch: pytest.MonkeyPatch, tries: int) -> tuple[Callable[[], Enqueued], Job]:
    """A long list that takes the key `b` and then wants `a`, while we hold `a` and want `b`."""
    monkeypatch.setattr(incoming, "SORTED_ROWS", 0)
    monkeypatch.setattr(insert, "MAX_TRIES", tries)
    return lambda: many([NewJob("sum", 1, key="b"), NewJob("sum", 2, key="a")]), enqueue_one()


@pytest.mark.parametrize("tries", [4, 1])
def test_who_had_to_give_way_does_it_again(db: None, monkeypatch: pytest.MonkeyPatch, tries: int) -> None:
    bring, _ = wait_for_each_other(monkeypatch, tries)
    with racers() as run:
        with transaction.atomic():
            with connection.cursor() as cursor:
                # We are patient, so that it is the other whom PostgreSQL ends.
                cursor.execute("SET LOCAL deadlock_timeout = '60s'")
            ((mine, _),) = insert.enqueue([NewJob("sum", "mine", key="a")])
            other = run.go_and_block(bring)
            ((also, _),) = insert.enqueue([NewJob("sum", "mine", key="b")])
        if tries == 1:
            with pytest.raises(OperationalError) as caught:
                other.result(PATIENCE)
            assert isinstance(caught.value.__cause__, DeadlockDetected)
        else:
            assert other.result(PATIENCE).jobs == [(also, "existing"), (mine, "existing")]
    assert list(Job.objects.exclude(key=None).values_list("payload", flat=True)) == ["mine", "mine"]
