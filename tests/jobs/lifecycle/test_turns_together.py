"""Turns of several bots that come at the same time are one statement, and each is as if it had come alone."""

import json
from datetime import timedelta
from itertools import chain
from typing import Any

import pytest
from django.db import OperationalError, transaction
from django.db.models.functions import Now

from bots.models import Bot
from bots.states import BotStatus
from jobs import lifecycle
from jobs.lifecycle import SWEEP, ClaimRequest, TurnRequest, TurnRow, take_turn, turn_request
from jobs.lifecycle import turn as turns
from jobs.lifecycle.turn import send
from jobs.models import Job, JobEvent, JobKind
from jobs.states import JobStatus
from jobs.turns.combining import RetryAlone
from tests.cast import Lease, bot_named, enqueue_one, put_in_quarantine, take_one
from tests.race import PATIENCE, racers

pytestmark = pytest.mark.django_db(transaction=True)


def turn(
    bot: Bot, ask: ClaimRequest | None = ClaimRequest(), done: list[Lease] | None = None, **more: Any
) -> TurnRequest:
    reports = {verb: json.dumps(more.pop(verb)) for verb in ("fail", "heartbeat") if verb in more}
    if done:
        reports["complete"] = json.dumps([{"id": lease.id, "attempt": lease.attempt} for lease in done])
    request = turn_request(bytes(bot.token_digest or b""), ask, reports, instance=more.pop("instance", ""))
    return request._replace(takes=more.pop("takes", ()))


def failure(lease: Lease, error: str = "", **more: Any) -> dict[str, Any]:
    return {"id": lease.id, "attempt": lease.attempt, "error": error, "retry": True} | more


def together(*turns: TurnRequest) -> list[TurnRow]:
    rows = send(turns)
    assert None not in rows
    return rows  # type: ignore[return-value]


def ids(row: TurnRow) -> list[int]:
    assert row.outcome == "done"
    return [job["id"] for job in json.loads(row.jobs)]


def refused(row: TurnRow) -> list[int]:
    return list(lifecycle.refusals(row.name, row.refused))


def fleet(n: int) -> list[Bot]:
    return [bot_named(f"bot {i}") for i in range(n)]


def test_each_gets_its_report_accepted_and_a_job_of_its_own() -> None:
    bots = fleet(4)
    enqueued = [enqueue_one().pk for _ in range(8)]
    leases = [take_one(bot) for bot in bots]
    turned = together(*(turn(bot, done=[lease]) for bot, lease in zip(bots, leases, strict=True)))
    assert {lease.job.status for lease in leases} == {JobStatus.SUCCEEDED}
    assert [lease.job.finished_by for lease in leases] == bots
    got = [ids(one) for one in turned]
    assert [len(one) for one in got] == [1] * 4
    assert sorted(chain(*got)) == sorted(enqueued)[:4]
    for bot, (job_id,) in zip(bots, got, strict=True):
        assert Job.objects.get(pk=job_id).claimed_by == bot


def test_what_failed_and_what_was_done_each_go_to_their_own() -> None:
    ada, bob = fleet(2)
    good, bad = take_one(ada), take_one(bob)
    one, other = together(turn(ada, done=[good]), turn(bob, fail=[failure(bad, "no disk", retry=False)]))
    assert refused(one) == refused(other) == []
    assert (good.job.status, bad.job.status, bad.job.error) == (JobStatus.SUCCEEDED, JobStatus.FAILED, "no disk")
    assert JobEvent.objects.get().by == bob.name


def test_a_failure_that_comes_too_late_is_nobody_elses_trouble() -> None:
    ada, bob = fleet(2)
    lost, held = take_one(ada), take_one(bob)
    lifecycle.release([lost.id], by=SWEEP)
    late, fine = together(turn(ada, None, fail=[failure(lost)]), turn(bob, None, done=[held]))
    assert (refused(late), refused(fine)) == ([lost.id], [])
    assert (lost.job.status, held.job.status) == (JobStatus.PENDING, JobStatus.SUCCEEDED)
    assert JobEvent.objects.filter(verb="fail").count() == 0


def test_it_is_one_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    call = turns.call_turns
    monkeypatch.setattr(turns, "call_turns", lambda **params: calls.append(params) or call(**params))
    together(*(turn(bot) for bot in fleet(3)))
    assert len(calls) == 1


def test_where_there_are_too_few_each_gets_one_before_any_gets_a_second() -> None:
    bots = fleet(3)
    for _ in range(4):
        enqueue_one()
    assert sorted(len(ids(one)) for one in together(*(turn(bot, ClaimRequest(3)) for bot in bots))) == [1, 1, 2]


def test_the_urgent_ones_are_given_first_and_each_list_is_in_order() -> None:
    ada, bob = fleet(2)
    late = [enqueue_one(priority=n).pk for n in range(6)]
    got = [ids(one) for one in together(turn(ada, ClaimRequest(2)), turn(bob, ClaimRequest(2)))]
    assert sorted(chain(*got)) == late[2:]
    assert all(one == sorted(one, reverse=True) for one in got)


def test_a_late_report_is_nobody_elses_trouble() -> None:
    ada, bob = fleet(2)
    for _ in range(3):
        enqueue_one()
    lost, held = take_one(ada), take_one(bob)
    lifecycle.release([lost.id], by=SWEEP)
    late, fine = together(turn(ada, done=[lost]), turn(bob, done=[held]))
    assert (refused(late), refused(fine)) == ([lost.id], [])
    assert (len(ids(late)), len(ids(fine))) == (1, 1)
    assert held.job.status == JobStatus.SUCCEEDED
    assert [job.pk for job in Job.objects.held_by(ada)] == ids(late)


def test_a_bot_that_takes_other_kinds_than_was_believed_is_left_out_and_learned() -> None:
    ada, bob = fleet(2)
    enqueue_one()
    Bot.objects.filter(pk=bob.pk).update(kinds=["divide"])
    got, other = together(turn(ada), turn(bob))
    assert (ids(got) != [], other.outcome, other.n) == (True, "other_kinds", 0)
    assert turns._takes[bytes(bob.token_digest or b"")] == ("divide",)


def test_capacity_pause_and_quarantine_are_each_bots_own() -> None:
    full, paused, quarantined, probed, free = fleet(5)
    for _ in range(9):
        enqueue_one()
    take_one(full)
    Bot.objects.filter(pk=full.pk).update(capacity=2)
    Bot.objects.filter(pk=paused.pk).update(paused=True)
    put_in_quarantine(quarantined, probed)
    probed.instances.update(probe_at=Now())
    turned = together(*(turn(bot, ClaimRequest(2)) for bot in (full, paused, quarantined, probed, free)))
    assert [len(ids(one)) for one in turned] == [1, 0, 0, 1, 2]
    assert [one.room for one in turned if one] == [True, False, False, True, True]
    assert [bot.instances.get().probe_level for bot in (quarantined, probed)] == [0, 1]


def test_a_job_that_is_for_another_first_waits_where_its_bot_is_among_them() -> None:
    ada, bob = fleet(2)
    for bot in (ada, bob):
        lifecycle.claim(bot)
    job = enqueue_one()
    mine = {"not_for": ada.instances.get().pk, "not_for_until": Now() + timedelta(minutes=1)}
    Job.objects.filter(pk=job.pk).update(**mine)
    assert [ids(one) for one in together(turn(ada), turn(bob))] == [[], []]
    assert ids(together(turn(bob))[0]) == [job.pk]


def test_jobs_of_a_paused_kind_are_given_to_nobody() -> None:
    enqueue_one()
    JobKind.objects.update(paused=True)
    assert [ids(one) for one in together(*(turn(bot) for bot in fleet(2)))] == [[], []]


def test_heartbeats_and_turns_that_ask_for_nothing_may_be_among_them() -> None:
    ada, bob = fleet(2)
    for _ in range(3):
        enqueue_one()
    lease = take_one(ada)
    beats = [{"id": lease.id, "attempt": lease.attempt, "progress": 30}]
    quiet, got = together(turn(ada, None, heartbeat=beats), turn(bob))
    assert (ids(quiet), len(ids(got)), lease.job.progress) == ([], 1, 30)


def test_each_bot_is_busy_or_idle_by_what_it_holds_itself() -> None:
    ada, bob = fleet(2)
    enqueue_one()
    lease = take_one(ada)
    enqueue_one()
    together(turn(ada, None, done=[lease]), turn(bob))
    assert {bot.name: bot.status for bot in Bot.objects.all()} == {
        "bot 0": BotStatus.IDLE,
        "bot 1": BotStatus.BUSY,
    }


def test_a_process_that_was_replaced_is_left_out() -> None:
    ada, bob = fleet(2)
    enqueue_one()
    lifecycle.hello(ada, instance="new")
    old, got = together(turn(ada, instance="old"), turn(bob))
    assert (old.outcome, old.instance, len(ids(got))) == ("replaced", "new", 1)


def test_a_bot_that_somebody_keeps_locked_holds_up_only_itself() -> None:
    ada, bob = fleet(2)
    for _ in range(2):
        enqueue_one()
    with racers() as run:
        with transaction.atomic():
            Bot.objects.select_for_update().get(pk=ada.pk)
            with pytest.raises(RetryAlone):
                run.go(lambda: together(turn(ada), turn(bob))).result(PATIENCE)
            assert len(ids(run.go(lambda: together(turn(bob))[0]).result(PATIENCE))) == 1
            waits = run.go_and_block(lambda: together(turn(ada))[0])
        assert len(ids(waits.result(PATIENCE))) == 1


def test_nothing_of_any_turn_is_done_when_one_cannot_be() -> None:
    ada, bob = fleet(2)
    for _ in range(4):
        enqueue_one()
    mine, its = take_one(ada), take_one(bob)
    with racers() as run, transaction.atomic():
        # Whoever comes now sees the lease hold, waits for this, and then goes by itself.
        Job.objects.select_for_update().get(pk=its.id)
        with pytest.raises(RetryAlone):
            run.go(lambda: together(turn(ada, done=[mine]), turn(bob, done=[its]))).result(PATIENCE)
    assert {mine.job.status, its.job.status} == {JobStatus.PROCESSING}


def test_a_large_turn_goes_on_though_those_before_it_hang() -> None:
    (ada,) = fleet(1)
    enqueue_one()
    for _ in range(turns.LARGE_AT_ONCE):
        turns._large.acquire()
    try:
        row = take_turn(turn(ada, ClaimRequest(100)))
    finally:
        turns._large.release(turns.LARGE_AT_ONCE)
    assert row.n == 1


def test_a_large_turn_leaves_its_place_to_others_however_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    (ada,) = fleet(1)

    def fails(**params: Any) -> Any:
        raise OperationalError("the connection was lost")

    with monkeypatch.context() as broken:
        broken.setattr(turns, "call_turns", fails)
        with pytest.raises(OperationalError):
            take_turn(turn(ada, ClaimRequest(100)))
    assert take_turn(turn(ada, ClaimRequest(100))).outcome == "done"
    taken = [turns._large.acquire(blocking=False) for _ in range(turns.LARGE_AT_ONCE)]
    turns._large.release(sum(taken))
    assert all(taken)
