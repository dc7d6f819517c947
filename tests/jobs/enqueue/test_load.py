"""Many jobs at once: none if one is bad, but for those who say otherwise; in order; each key once."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection

from jobs.enqueue import insert
from jobs.enqueue import load as enqueue_load
from jobs.enqueue.files import BadLine
from jobs.enqueue.load import load
from jobs.enqueue.new_job import NewJob
from jobs.models import Job, JobKind
from jobs.turns import notifications
from jobsite.lib.errors import BadRequest
from tests.cast import enqueue_one

pytestmark = pytest.mark.django_db

Load = Callable[..., enqueue_load.Loaded]


@pytest.fixture(params=[True, False], ids=["quick", "slow"])
def loads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Load:
    """`load`, of what is there at once or of what comes by and by; both in blocks of two."""
    monkeypatch.setattr(insert, "BLOCK_ROWS", 2)
    return lambda items, **options: load(iter(items), fast_source=request.param, **options)


def numbers() -> list[Any]:
    return list(Job.objects.order_by("id").values_list("payload", flat=True))


@pytest.mark.parametrize("known", [True, False])
def test_all_are_there_in_their_order(loads: Load, known: bool) -> None:
    if known:
        JobKind.objects.create(name="sum", max_attempts=5)
    done = loads(NewJob("sum", n) for n in range(7))
    assert (done.created, done.existing, done.bad, done.lines) == (7, 0, 0, 7)
    assert numbers() == list(range(7))
    assert set(Job.objects.values_list("max_attempts", flat=True)) == {5 if known else 3}


@pytest.mark.parametrize("at", range(6))
def test_a_key_or_a_new_kind_anywhere_changes_nothing_of_the_order(loads: Load, at: int) -> None:
    JobKind.objects.create(name="sum")
    jobs = [NewJob("sum", n) for n in range(6)]
    jobs[at] = NewJob("new", at, key="k")
    assert loads(jobs).created == 6
    assert numbers() == list(range(6))
    assert Job.objects.get(kind="new").key == "k"


@pytest.mark.parametrize("at", range(6))
def test_one_bad_line_anywhere_and_nothing_is_there(loads: Load, at: int) -> None:
    JobKind.objects.create(name="sum")
    items: list[NewJob | BadLine] = [NewJob("sum", n) for n in range(5)] + [NewJob("new", 5)]
    items[at] = BadLine(at + 1, "bad")
    items.append(BadLine(7, "bad, too"))
    done = loads(items)
    assert (done.created, done.existing, done.bad, done.ids) == (0, 0, 2, None)
    assert [line.number for line in done.bad_lines] == [at + 1, 7]
    assert not Job.objects.exists()
    assert list(JobKind.objects.values_list("name", flat=True)) == ["sum"]


def test_bad_lines_can_be_left_out(loads: Load) -> None:
    JobKind.objects.create(name="sum")
    done = loads([NewJob("sum", 1), BadLine(2, "bad"), NewJob("sum", 3), NewJob("sum", 4)], skip_bad=True)
    assert (done.created, done.bad) == (3, 1)
    assert numbers() == [1, 3, 4]


def test_keys_are_respected_within_what_comes_and_against_what_is_there(loads: Load) -> None:
    old = enqueue_one("sum", payload="old", key="old")
    jobs = [
        NewJob("sum", 1, key="a"), NewJob("sum", 2, key="old"), NewJob("sum", 3), NewJob("other", 4, key="a"),
        NewJob("sum", 5, key="a"), NewJob("sum", 6, key=""), NewJob("sum", 7, key="b"),
    ]  # fmt: skip
    done = loads(jobs)
    assert (done.created, done.existing) == (5, 2)
    assert numbers() == ["old", 3, 4, 5, 6, 7]
    assert Job.objects.get(pk=old.pk).payload == "old"


def test_ids_are_told_in_order_while_they_are_few() -> None:
    old = enqueue_one("sum", key="old")
    done = load([NewJob("sum", 1), NewJob("sum", 2, key="old"), NewJob("sum", 3)], max_ids=3)
    assert done.ids is not None
    assert done.ids[1] == old.pk
    assert [Job.objects.get(pk=pk).payload for pk in done.ids[::2]] == [1, 3]
    assert load([NewJob("sum", n) for n in range(4)], max_ids=3).ids is None


def test_a_dry_run_counts_and_leaves_nothing(loads: Load) -> None:
    enqueue_one("sum", key="old")
    done = loads([NewJob("sum", 1), NewJob("sum", 2, key="old"), NewJob("new", 3)], dry_run=True)
    assert (done.created, done.existing) == (2, 1)
    assert Job.objects.count() == JobKind.objects.count() == 1


def test_what_breaks_off_leaves_nothing(loads: Load) -> None:
    JobKind.objects.create(name="sum")

    def broken() -> Iterator[NewJob]:
        yield from (NewJob("sum", n) for n in range(5))
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        loads(broken())
    assert not Job.objects.exists()


def test_another_number_than_was_announced_leaves_nothing(loads: Load) -> None:
    JobKind.objects.create(name="sum")
    with pytest.raises(BadRequest, match="2 jobs came, and 3 were announced"):
        loads([NewJob("sum", 1), NewJob("sum", 2)], count=3)
    assert not Job.objects.exists()
    assert loads([NewJob("sum", 1), NewJob("sum", 2)], count=2).created == 2


def test_nothing_at_all_is_no_job(loads: Load) -> None:
    done = loads([])
    assert (done.created, done.existing, done.lines) == (0, 0, 0)


def test_while_jobs_come_by_and_by_the_database_is_left_alone(django_assert_num_queries: Any) -> None:
    def coming() -> Iterator[NewJob]:
        with django_assert_num_queries(0):
            yield from (NewJob("sum", n) for n in range(3))

    assert load(coming()).created == 3


def test_afterwards_no_table_of_its_own_is_left_and_checks_are_deferred_again(loads: Load) -> None:
    for _ in range(2):
        loads([NewJob("sum", 1, key="a"), NewJob("sum", 2)])
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('pg_temp.incoming')")
        assert cursor.fetchone() == (None,)
        # Were they still checked at once, this would fail.
        cursor.execute("UPDATE jobs_job SET kind_id = 'gone' WHERE kind_id = 'sum'")
        cursor.execute("UPDATE jobs_job SET kind_id = 'sum' WHERE kind_id = 'gone'")


@pytest.mark.parametrize("known", [True, False])
def test_who_waits_for_jobs_is_told_of_those_that_are_new_and_due(
    loads: Load, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    enqueue_one("sum", key="old")
    if known:
        JobKind.objects.create(name="other")
    told = Counter[str]()
    monkeypatch.setattr(notifications, "announce", told.update)
    later = datetime(2090, 1, 1, tzinfo=UTC)
    jobs = [NewJob("other", n) for n in range(3)] + [NewJob("sum", 3), NewJob("other", 4, run_at=later)]
    loads(jobs)
    assert {kind: n for kind, n in told.items() if n} == {"other": 3, "sum": 1}
    told.clear()
    loads([NewJob("sum", 1, key="old")])
    assert told.total() == 0
