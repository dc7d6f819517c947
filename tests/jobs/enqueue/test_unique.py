"""The job that is there says how long it keeps its key, and a new one may take its place before anybody has begun."""

from datetime import UTC, datetime
from typing import Any

import pytest

from bots.models import Bot
from jobs import lifecycle
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.lifecycle import SWEEP
from jobs.models import Job, JobEvent
from tests.cast import Lease, enqueue_one, take_one

pytestmark = pytest.mark.django_db

LATER = datetime(2090, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(params=[0, 10**9], ids=["by copy", "in one statement"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many jobs take another way into the table than few. What comes of them is the same."""
    monkeypatch.setattr(insert, "COPY_FROM", request.param)


def again(payload: Any = "again", **fields: Any) -> str:
    """What becomes of a new job with the same key."""
    ((_, added),) = insert.enqueue([NewJob("sum", payload, key="k", **fields)])
    return str(added)


def held(bot: Bot, unique: str) -> Lease:
    return take_one(bot, key="k", unique=unique)


@pytest.mark.parametrize(
    ("unique", "pending", "running", "pending_again", "finished"),
    [
        ("always", "existing", "existing", "existing", "existing"),
        ("unfinished", "existing", "existing", "existing", "created"),
        ("pending", "existing", "created", "created", "created"),
    ],
)
def test_the_job_that_is_there_says_how_long_it_keeps_its_key(
    ada: Bot, unique: str, pending: str, running: str, pending_again: str, finished: str
) -> None:
    def outcome() -> str:
        # Every new job is of a mode that asks for nothing itself, and goes again.
        added = again(unique="always")
        Job.objects.filter(payload="again").delete()
        return added

    first = enqueue_one(key="k", unique=unique)
    assert outcome() == pending
    (claimed,) = lifecycle.claim(ada)
    lease = Lease(ada, claimed.id, claimed.attempt)
    assert (claimed.id, outcome()) == (first.pk, running)
    lease.hand_back()
    assert outcome() == pending_again
    (claimed,) = lifecycle.claim(ada)
    Lease(ada, claimed.id, claimed.attempt).complete()
    assert outcome() == finished


@pytest.mark.parametrize("unique", ["unfinished", "pending"])
def test_no_end_of_an_attempt_meets_the_job_that_has_the_key_by_then(ada: Bot, unique: str) -> None:
    lease = held(ada, unique)
    if unique == "pending":
        assert again() == "created"
    ends = [
        lambda lease: lease.hand_back(),
        lambda lease: lease.fail(),
        lambda lease: lifecycle.expire([lease.id], by=SWEEP, reasons={lease.id: "silent"}),
        lambda lease: lease.fail(retry=False),
    ]
    for end in ends:
        end(lease)
        Job.objects.filter(pk=lease.id).update(run_at="2020-01-01T00:00Z", priority=1_000_000)
        if end is not ends[-1]:
            (claimed,) = lifecycle.claim(ada)
            lease = Lease(ada, claimed.id, claimed.attempt)
    assert lease.job.status == "failed"


def test_a_job_that_is_replaced_has_all_that_the_new_one_says() -> None:
    first = enqueue_one("sum", payload=1, key="k", unique="pending", priority=3)
    new = NewJob("sum", None, 5, LATER, "k", 7, unique="pending", on_conflict="replace")
    assert insert.enqueue([new]) == [(first.pk, "replaced")]
    job = Job.objects.get()
    assert (job.payload, job.priority, job.run_at, job.max_attempts) == (None, 5, LATER, 7)
    event = JobEvent.objects.get()
    assert (event.verb, event.actor, event.job_id, event.from_status, event.to_status) == (
        "replace", "operator", first.pk, "pending", "pending"
    )  # fmt: skip
    assert event.detail["priority"] == [3, 5]
    assert event.detail["run_at"][1] == "2090-01-02T03:04:05.000000Z"


def test_what_a_new_one_does_not_say_is_as_of_a_new_job() -> None:
    enqueue_one("sum", key="k", unique="pending", run_at=LATER, max_attempts=9, priority=2)
    assert again(unique="pending", on_conflict="replace") == "replaced"
    job = Job.objects.get()
    assert (job.max_attempts, job.priority, job.run_at < LATER) == (3, 0, True)


def test_a_job_that_keeps_its_key_for_longer_is_never_replaced() -> None:
    first = enqueue_one(key="k", unique="unfinished")
    assert again(unique="pending", on_conflict="replace") == "existing"
    assert Job.objects.get().payload == first.payload


def test_a_job_that_a_bot_has_had_is_not_replaced_and_there_is_a_new_one(ada: Bot) -> None:
    held(ada, "pending").hand_back()
    assert again(unique="pending", on_conflict="replace") == "created"
    assert not JobEvent.objects.filter(verb="replace").exists()


def test_of_the_same_key_twice_in_one_call_the_last_wins() -> None:
    first = enqueue_one("sum", payload="old", key="k", unique="pending")
    new = {"unique": "pending", "on_conflict": "replace"}
    done = insert.enqueue([
        NewJob("sum", 1, key="k", **new), NewJob("sum", 2, key="new", **new), NewJob("sum", 3),
        NewJob("sum", 4, key="k", **new), NewJob("sum", 5, key="new", **new), NewJob("divide", 6, key="k", **new),
    ])  # fmt: skip
    assert [added for _, added in done] == ["existing", "existing", "created", "replaced", "created", "created"]
    assert [Job.objects.get(pk=pk).payload for pk, _ in done] == [4, 5, 3, 4, 5, 6]
    assert (done[0][0], done[3][0], Job.objects.count()) == (first.pk, first.pk, 4)
    assert JobEvent.objects.count() == 1


def test_where_the_last_one_keeps_what_is_there_nothing_is_replaced() -> None:
    enqueue_one("sum", payload="old", key="k", unique="pending")
    done = insert.enqueue([
        NewJob("sum", 1, key="k", unique="pending", on_conflict="replace"), NewJob("sum", 2, key="k"),
    ])  # fmt: skip
    assert [added for _, added in done] == ["existing", "existing"]
    assert Job.objects.get().payload == "old"


def test_a_job_that_becomes_due_by_that_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    enqueue_one("sum", key="k", unique="pending", run_at=LATER)
    told: list[dict[str, int]] = []
    monkeypatch.setattr("jobs.turns.notifications.announce", lambda due: told.append(dict(due)))
    again(unique="pending", on_conflict="replace")
    assert {"sum": 1} in told
