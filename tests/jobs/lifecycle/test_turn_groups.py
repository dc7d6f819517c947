"""Of turns that are one statement each gets what it would have got alone, whatever is wrong with another."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, OperationalError, connection, transaction

from bots.models import Bot
from jobs import lifecycle
from jobs.errors import InstanceReplaced
from jobs.lifecycle import By, ClaimRequest, TurnRequest, TurnRow, take_turn, turn_request
from jobs.lifecycle import turn as turns
from jobs.models import Job, JobEvent
from jobs.states import JobStatus, Verb
from jobs.turns.combining import Combiner
from jobsite.lib.errors import Unauthorized, Unavailable
from tests.cast import Lease, bot_named, enqueue_one, take_one
from tests.race import PATIENCE, Racers, racers, until

pytestmark = pytest.mark.django_db(transaction=True)

Group = Callable[..., list["Future[TurnRow]"]]


@pytest.fixture
def run() -> Iterator[Racers]:
    with racers() as run:
        yield run


@pytest.fixture
def sizes() -> list[int]:
    """How many turns each statement had."""
    return []


@pytest.fixture
def group(run: Racers, sizes: list[int], monkeypatch: pytest.MonkeyPatch) -> Group:
    """`group(*requests)`: turns on their way, all of which go into one statement first."""
    gate, queued, first = threading.Event(), threading.Semaphore(0), bot_named("first")

    def send(requests: Sequence[TurnRequest]) -> list[TurnRow | None]:
        if not gate.is_set():
            # The one before them: it keeps them in line until all are there.
            assert gate.wait(PATIENCE)
            return turns.send(requests)
        sizes.append(len(requests))
        return turns.send(requests)

    class Queue(Combiner[TurnRequest, TurnRow | None]):
        def _await_batch(self, group: Any, queued_call: Any) -> bool:
            queued.release()
            return super()._await_batch(group, queued_call)

    def together(*requests: TurnRequest) -> list["Future[TurnRow]"]:
        for request in (ask(first), *requests):
            turns._takes[request.digest or b""] = ()
        monkeypatch.setattr(turns, "_combiner", Queue(send, max_batch=32, max_wait=PATIENCE))
        leading = run.go(lambda: take_turn(ask(first, None)))
        until(lambda: bool(turns._combiner._queues))
        futures = [run.go(lambda request=request: take_turn(request)) for request in requests]  # type: ignore[misc]
        for _ in requests:
            assert queued.acquire(timeout=PATIENCE)
        until(lambda: sum(map(len, turns._combiner._queues.values())) == len(requests))
        gate.set()
        leading.result(PATIENCE)
        return futures

    return together


def ask(
    bot: Bot, claim: ClaimRequest | None = ClaimRequest(), *, instance: str = "", **reports: list[dict[str, Any]]
) -> TurnRequest:
    texts = {verb: json.dumps(rows) for verb, rows in reports.items()}
    return turn_request(bytes(bot.token_digest or b""), claim, texts, instance=instance)


def named(lease: Lease, **more: Any) -> dict[str, Any]:
    return {"id": lease.id, "attempt": lease.attempt, **more}


class Others:
    """Two bots that complete what they hold, and get the next; and two of the same who do so alone."""

    def __init__(self) -> None:
        self.bots = [bot_named(f"other {n}") for n in range(2)]
        self.leases = [take_one(bot) for bot in self.bots]
        twins = [bot_named(f"twin {n}") for n in range(2)]
        alone = [take_one(bot) for bot in twins]
        enqueue_one(priority=5), enqueue_one(priority=5)
        self.alone = [seen(take_turn(request)) for request in self.requests_of(twins, alone)]
        for _ in range(6):
            enqueue_one()

    @staticmethod
    def requests_of(bots: list[Bot], leases: list[Lease]) -> list[TurnRequest]:
        return [ask(bot, complete=[named(lease, result="r")]) for bot, lease in zip(bots, leases, strict=True)]

    @property
    def requests(self) -> list[TurnRequest]:
        return self.requests_of(self.bots, self.leases)

    def check(self, futures: list["Future[TurnRow]"]) -> None:
        """Each got what it would have got alone, and that is so in the database."""
        rows = [future.result(PATIENCE) for future in futures]
        assert [seen(row) for row in rows] == self.alone
        assert [(lease.job.status, lease.job.result) for lease in self.leases] == [("succeeded", "r")] * 2
        for bot, row in zip(self.bots, rows, strict=True):
            held = [job["id"] for job in json.loads(row.jobs)]
            assert list(Job.objects.held_by(bot).values_list("id", flat=True)) == held
            assert Bot.objects.get(pk=bot.pk).status == "busy"


def seen(row: TurnRow) -> tuple[Any, ...]:
    """What an answer is made of, but for ids and moments."""
    own = {"id", "priority", "run_at", "deadline_at"}
    jobs = [{name: value for name, value in job.items() if name not in own} for job in json.loads(row.jobs)]
    return row.outcome, row.room, row.paused, row.restart, row.n, row.refused, row.changes, jobs


@pytest.fixture
def others() -> Others:
    return Others()


def plant(job: int, act: str) -> None:
    """Whenever this job is written, that happens in the same transaction, between the look-up and the bots' locks."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {act}; RETURN NEW; END'")
        cursor.execute(
            f"CREATE TRIGGER planted BEFORE UPDATE ON jobs_job FOR EACH ROW WHEN (OLD.id = {job}) "
            "EXECUTE FUNCTION planted()"
        )


@pytest.fixture(autouse=True)
def uproot() -> Iterator[None]:
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER IF EXISTS planted ON jobs_job; DROP FUNCTION IF EXISTS planted")


# --- One that fails -------------------------------------------------------------------------------------------------


def test_bad_json_in_a_result(group: Group, others: Others, ada: Bot, sizes: list[int]) -> None:
    lease = take_one(ada)
    request = ask(ada, complete=[named(lease, result="NUL")])
    bad, *fine = group(request._replace(text=request.text.replace("NUL", "\\u0000")), *others.requests)
    with pytest.raises(DatabaseError):
        bad.result(PATIENCE)
    others.check(fine)
    assert (sizes[0], lease.job.status) == (3, JobStatus.PROCESSING)


def test_a_check_that_is_violated(group: Group, others: Others, ada: Bot, sizes: list[int]) -> None:
    lease = take_one(ada)
    plant(lease.id, "RAISE EXCEPTION USING ERRCODE = ''check_violation''")
    bad, *fine = group(ask(ada, complete=[named(lease)]), *others.requests)
    with pytest.raises(DatabaseError):
        bad.result(PATIENCE)
    others.check(fine)
    assert (sizes, lease.job.status) == ([3, 1, 1, 1], JobStatus.PROCESSING)


def test_a_job_that_is_locked(group: Group, others: Others, ada: Bot) -> None:
    lease = take_one(ada)
    with transaction.atomic():
        Job.objects.select_for_update().get(pk=lease.id)
        bad, *fine = group(ask(ada, complete=[named(lease)]), *others.requests)
        with pytest.raises(Unavailable, match=f"Job {lease.id} is locked"):
            bad.result(PATIENCE)
        others.check(fine)
    assert lease.job.status == JobStatus.PROCESSING


def test_a_bot_that_is_locked(group: Group, others: Others, ada: Bot) -> None:
    with transaction.atomic():
        Bot.objects.select_for_update().get(pk=ada.pk)
        bad, *fine = group(ask(ada), *others.requests)
        with pytest.raises(Unavailable, match="Bot ada is locked"):
            bad.result(PATIENCE)
        others.check(fine)


def test_a_deadlock_with_an_operators_set(group: Group, others: Others, ada: Bot, olga: User) -> None:
    first, second = take_one(ada), take_one(ada)
    with transaction.atomic():
        Job.objects.select_for_update().get(pk=second.id)
        bad, *fine = group(ask(ada, complete=[named(first), named(second)]), *others.requests)
        others.check(fine)
        # It holds the first and waits for the second, or is about to.
        lifecycle.release([first.id, second.id], by=By.operator(olga))
    refused = lifecycle.refusals("ada", bad.result(PATIENCE).refused)
    assert set(refused) == {first.id, second.id}
    assert JobEvent.objects.filter(verb=Verb.LATE).count() == 2


def test_a_lost_connection_is_not_repeated(
    group: Group, others: Others, ada: Bot, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    call = turns.call_turns

    def lose(**params: Any) -> list[TurnRow]:
        if "complete" in params["turns"]:
            raise OperationalError("server closed the connection unexpectedly")
        return call(**params)

    monkeypatch.setattr(turns, "call_turns", lose)
    for future in group(ask(ada), *others.requests):
        with pytest.raises(OperationalError):
            future.result(PATIENCE)
    assert sizes == [3]


# --- One that has changed between the look-up and the lock ----------------------------------------------------------


def test_a_token_that_was_revoked(group: Group, others: Others, ada: Bot, bob: Bot, sizes: list[int]) -> None:
    lease = take_one(ada)
    plant(lease.id, "UPDATE bots_bot SET token_digest = NULL WHERE name IN (''ada'', ''bob'')")
    reports, claims, *fine = group(ask(ada, complete=[named(lease)]), ask(bob), *others.requests)
    row = reports.result(PATIENCE)
    assert (row.n, row.refused, row.room, lease.job.status) == (0, None, False, JobStatus.SUCCEEDED)
    with pytest.raises(Unauthorized):
        claims.result(PATIENCE)
    others.check(fine)
    assert sizes == [4]
    assert not Job.objects.filter(claimed_by__in=[ada, bob]).exists()


def test_a_process_that_was_replaced(group: Group, others: Others, ada: Bot, bob: Bot, sizes: list[int]) -> None:
    lease = take_one(ada)
    newer = "instance = ''newer'', instances_changed_at = clock_timestamp()"
    plant(lease.id, f"UPDATE bots_bot SET {newer} WHERE name IN (''ada'', ''bob'')")
    requests = ask(ada, complete=[named(lease)], instance="old"), ask(bob, instance="old")
    reports, claims, *fine = group(*requests, *others.requests)
    row = reports.result(PATIENCE)
    assert (row.n, row.refused, row.room, lease.job.status) == (0, None, False, JobStatus.SUCCEEDED)
    with pytest.raises(InstanceReplaced, match="'newer'"):
        claims.result(PATIENCE)
    others.check(fine)
    assert sizes == [4]
    assert not Job.objects.filter(claimed_by__in=[ada, bob]).exists()


# --- One whose report does not hold ---------------------------------------------------------------------------------


def test_a_repeat(group: Group, others: Others, ada: Bot, sizes: list[int]) -> None:
    lease = take_one(ada)
    lease.complete(3)
    again, *fine = group(ask(ada, None, complete=[named(lease, result=4)]), *others.requests)
    assert again.result(PATIENCE).refused is None
    others.check(fine)
    assert (sizes, lease.job.result) == ([3], 3)
    assert not JobEvent.objects.exists()


def test_a_late_report(group: Group, others: Others, ada: Bot, olga: User, sizes: list[int]) -> None:
    lease = take_one(ada)
    lifecycle.cancel([lease.id], by=By.operator(olga))
    late, *fine = group(ask(ada, None, complete=[named(lease, result=4)]), *others.requests)
    error = lifecycle.refusals("ada", late.result(PATIENCE).refused)[lease.id]
    assert (error.code, error.extra["verb"], error.extra["ended_by"]) == ("lease_lost", "cancel", "operator olga")
    others.check(fine)
    assert sizes == [3]
    assert JobEvent.objects.get(verb=Verb.LATE).detail == {"outcome": "complete", "result": 4}


def test_one_job_reported_by_two_bots(group: Group, others: Others, ada: Bot, bob: Bot, sizes: list[int]) -> None:
    lease = take_one(ada, priority=2_000_000)
    lease.hand_back()
    (again,) = lifecycle.claim(bob)
    assert again.id == lease.id
    old, new, *fine = group(
        ask(ada, None, complete=[named(lease, result="old")]),
        ask(bob, None, complete=[{"id": again.id, "attempt": again.attempt, "result": "new"}]),
        *others.requests,
    )
    assert list(lifecycle.refusals("ada", old.result(PATIENCE).refused)) == [lease.id]
    assert new.result(PATIENCE).refused is None
    others.check(fine)
    assert (sizes, lease.job.result, lease.job.finished_by) == ([4], "new", bob)
