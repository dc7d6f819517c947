"""A bot's turns: reports of all workers in one call, none of which waits for, or suffers from, another."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from jobsite_client import (
    EXIT_REPLACED,
    Client,
    Completed,
    Failed,
    Heartbeat,
    InstanceReplaced,
    Job,
    LeaseLost,
    Unavailable,
)
from jobsite_client import exchanger as exchanger_module

from .conftest import Patient, Running
from .fake_server import DEADLINE, MOST_BODY, Answer, FakeServer, lease_lost, refusal

RunBot = Callable[..., Running]


def reports(call: Any) -> list[int]:
    """The jobs whose ends an exchange reports."""
    return [report["id"] for sort in ("completed", "failed") for report in call.body.get(sort, ())]


class Gate:
    """Handlers that wait in front of it, until it lets them through one by one or all."""

    def __init__(self) -> None:
        self.reached: dict[int, threading.Event] = {}
        self._open: dict[int, threading.Event] = {}

    def add(self, job: int) -> int:
        self.reached[job], self._open[job] = threading.Event(), threading.Event()
        return job

    def handler(self, job: Job) -> int:
        self.reached[int(job.id)].set()
        assert self._open[int(job.id)].wait(DEADLINE)
        return int(job.id)

    def let(self, *jobs: int) -> None:
        for job in jobs:
            assert self.reached[job].wait(DEADLINE)
            self._open[job].set()


# --- The call -----------------------------------------------------------------------------------------------------


def test_an_exchange_says_everything_in_one_call(server: FakeServer, client: Patient) -> None:
    job = server.add_job("sum", [1])
    answer = client.exchange(
        completed=[Completed(11, 1, {"value": 3}), Completed(12, 2)],
        failed=[Failed(13, 1, "It broke.", retry=False)],
        heartbeats=[Heartbeat(14, 1, 40, "p. 4"), Heartbeat(15, 1)],
        limit=2,
        kinds=["sum"],
    )
    assert server.of("exchange")[0].body == {
        "completed": [{"id": 11, "attempt": 1, "result": {"value": 3}}, {"id": 12, "attempt": 2}],
        "failed": [{"id": 13, "attempt": 1, "error": "It broke.", "retry": False}],
        "heartbeats": [{"id": 14, "attempt": 1, "progress": 40, "note": "p. 4"}, {"id": 15, "attempt": 1}],
        "claim": {"limit": 2, "kinds": ["sum"], "start": True},
    }
    assert answer.accepted == [11, 12, 13, 14, 15]
    assert [claimed.id for claimed in answer.jobs] == [job]
    assert (answer.rejected, answer.cancel, answer.paused, answer.restart, answer.retry_after) == (
        [], [], False, False, None,
    )  # fmt: skip


def test_a_rejected_report_says_why_as_its_own_call_would(server: FakeServer, client: Patient) -> None:
    server.answers["jobs/1/complete"] = [lease_lost(cancel=True)]
    server.answers["jobs/2/fail"] = [refusal(404, "not_found", "There is no job 2.")]
    answer = client.exchange(completed=[Completed(1, 1)], failed=[Failed(2, 1, "No.")], heartbeats=[Heartbeat(3, 1)])
    lost, missing = answer.rejected
    assert isinstance(lost.error, LeaseLost)
    assert (lost.id, lost.error.ended_by, lost.error.cancel) == (1, "operator alice", True)
    assert (missing.id, missing.error.code, missing.error.detail) == (2, "not_found", "There is no job 2.")
    assert answer.accepted == [3]
    assert answer.cancel == [1]


def test_an_exchange_without_a_claim_is_repeated_and_one_with_a_claim_is_not(
    server: FakeServer, client: Patient
) -> None:
    server.answers["exchange"] = [Answer(drop=True)]
    assert client.exchange(completed=[Completed(1, 1)]).accepted == [1]
    server.answers["exchange"] = [Answer(drop=True)]
    with pytest.raises(Unavailable) as caught:
        client.exchange(completed=[Completed(2, 1)], limit=1)
    assert caught.value.maybe_done
    assert len(server.of("exchange")) == 3


def test_a_replaced_processs_exchange_is_refused_whole(server: FakeServer, client: Patient) -> None:
    client.hello("old")
    with Client(server.url, "t") as newer:
        newer.hello("new")
    with pytest.raises(InstanceReplaced):
        client.exchange(completed=[Completed(1, 1)], limit=1)


# --- Batches ------------------------------------------------------------------------------------------------------


def test_what_ends_while_an_exchange_is_under_way_goes_out_together_with_the_next(
    server: FakeServer, run_bot: RunBot
) -> None:
    gate, answered = Gate(), threading.Event()
    jobs = [gate.add(server.add_job("sum")) for _ in range(5)]
    server.answers["exchange"] = [Answer({"accepted": [jobs[0]]}, after=answered)]
    run_bot({"sum": gate.handler}, concurrency=5, heartbeat_every=60)
    gate.let(jobs[0])
    first = server.wait_for("exchange")[0]
    gate.let(*jobs[1:])
    answered.set()
    # The later ones may have ended one by one as well; but none goes before the first is answered.
    server.wait_until(lambda: sum(len(reports(call)) for call in server.of("exchange")) == 5)
    assert reports(first) == [jobs[0]]
    said = [job for call in server.of("exchange")[1:] for job in reports(call)]
    assert sorted(said) == jobs[1:]


def test_reports_that_have_gathered_go_in_one_exchange_with_a_claim_for_their_room(
    server: FakeServer, run_bot: RunBot
) -> None:
    gate, answered = Gate(), threading.Event()
    jobs = [gate.add(server.add_job("sum")) for _ in range(4)]
    server.answers["exchange"] = [Answer({"accepted": [jobs[0]]}, after=answered)]
    running = run_bot({"sum": gate.handler}, concurrency=4, heartbeat_every=60)
    gate.let(jobs[0])
    server.wait_for("exchange")
    gate.let(*jobs[1:])
    server.wait_until(lambda: not running.bot.running)
    answered.set()
    second = server.wait_for("exchange", times=2)[1]
    assert sorted(reports(second)) == jobs[1:]
    # The answer to the first has come by then: it gave no job for its one place.
    assert second.body["claim"]["limit"] == 4


def test_a_slow_job_holds_back_nobodys_report(server: FakeServer, run_bot: RunBot) -> None:
    gate = Gate()
    slow = gate.add(server.add_job("slow"))
    quick = [server.add_job("quick") for _ in range(20)]
    run_bot({"slow": gate.handler, "quick": lambda job: None}, concurrency=2, prefetch=3)
    for job in quick:
        server.wait_for(f"jobs/{job}/complete")
    assert not server.of(f"jobs/{slow}/complete")
    gate.let(slow)
    server.wait_for(f"jobs/{slow}/complete")


def test_one_exchange_takes_no_more_than_a_body_may_hold(server: FakeServer, run_bot: RunBot) -> None:
    big, answered = "x" * 200_000, threading.Event()
    first = server.add_job("first")
    jobs = [server.add_job("big") for _ in range(30)]
    server.answers[f"jobs/{first}/complete"] = [Answer(status=503, after=answered)]
    running = run_bot({"first": lambda job: None, "big": lambda job: big}, concurrency=31)
    server.wait_for("exchange")
    server.wait_until(lambda: not running.bot.running)
    answered.set()
    for job in jobs:
        server.wait_for(f"jobs/{job}/complete")
    assert max(len(reports(call)) for call in server.of("exchange")) > 1
    assert max(call.size for call in server.of("exchange")) <= MOST_BODY
    assert not [call for call in server.calls if call.path.endswith("/fail")]


def test_heartbeats_of_all_jobs_go_in_one_call(server: FakeServer, run_bot: RunBot) -> None:
    gate = Gate()
    jobs = [gate.add(server.add_job("slow")) for _ in range(6)]
    run_bot({"slow": gate.handler}, concurrency=2, prefetch=4)
    # Those that wait for a worker are leased as well.
    server.wait_for("exchange", where=lambda call: len(call.body.get("heartbeats", ())) == 6)
    gate.let(*jobs)
    for job in jobs:
        server.wait_for(f"jobs/{job}/complete")


# --- Jobs held ready ----------------------------------------------------------------------------------------------


def test_a_worker_with_jobs_held_ready_does_not_wait_for_the_network(server: FakeServer, run_bot: RunBot) -> None:
    answered = threading.Event()
    jobs = [server.add_job("sum") for _ in range(4)]
    done: list[Any] = []
    server.answers["exchange"] = [Answer({"accepted": jobs}, after=answered)]
    run_bot({"sum": lambda job: done.append(job.id)}, prefetch=3, heartbeat_every=60)
    server.wait_for("exchange")
    server.wait_until(lambda: len(done) == 4)
    assert len(server.of("exchange")) == 1
    answered.set()


def test_without_prefetch_a_job_is_claimed_when_a_worker_is_free_for_it(server: FakeServer, run_bot: RunBot) -> None:
    gate = Gate()
    first, second = (gate.add(server.add_job("sum")) for _ in range(2))
    run_bot({"sum": gate.handler})
    assert gate.reached[first].wait(DEADLINE)
    server.wait_for(f"jobs/{first}/heartbeat", times=2)
    assert [job["id"] for job in server.pending] == [second]
    gate.let(first, second)


def test_jobs_held_ready_go_back_at_once_when_the_bot_stops(server: FakeServer, run_bot: RunBot) -> None:
    gate = Gate()
    running_job, *ready = (gate.add(server.add_job("sum")) for _ in range(6))
    running = run_bot({"sum": gate.handler}, prefetch=5, grace=60)
    assert gate.reached[running_job].wait(DEADLINE)
    running.bot.stop()
    # While the one that was begun still has its grace.
    for job in ready:
        server.wait_for(f"jobs/{job}/release")
    gate.let(running_job)
    assert running.ended() == 0
    assert len(server.of(f"jobs/{running_job}/complete")) == 1
    assert not server.of(f"jobs/{running_job}/release")
    assert not any(gate.reached[job].is_set() for job in ready)


def test_a_job_held_ready_whose_lease_was_lost_is_not_begun(server: FakeServer, run_bot: RunBot) -> None:
    gate = Gate()
    first, lost, third = (gate.add(server.add_job("sum")) for _ in range(3))
    server.answers[f"jobs/{lost}/heartbeat"] = [lease_lost()]
    run_bot({"sum": gate.handler}, prefetch=2)
    server.wait_for(f"jobs/{lost}/heartbeat")
    server.wait_for(f"jobs/{first}/heartbeat", times=len(server.of(f"jobs/{first}/heartbeat")) + 2)
    gate.let(first, third)
    server.wait_for(f"jobs/{third}/complete")
    assert not gate.reached[lost].is_set()


# --- One bad report -----------------------------------------------------------------------------------------------


def test_one_report_the_server_refuses_fails_its_job_and_no_other(server: FakeServer, run_bot: RunBot) -> None:
    gate = Gate()
    good, bad, fine = (gate.add(server.add_job("sum")) for _ in range(3))
    first, answered = gate.add(server.add_job("sum")), threading.Event()
    server.answers["exchange"] = [Answer({"accepted": [first]}, after=answered)]
    server.answers[f"jobs/{bad}/complete"] = [refusal(422, "invalid", "result: not today.")]
    running = run_bot({"sum": gate.handler}, concurrency=4, heartbeat_every=60)
    gate.let(first)
    server.wait_for("exchange")
    gate.let(good, bad, fine)
    server.wait_until(lambda: not running.bot.running)
    answered.set()
    [failed] = server.wait_for(f"jobs/{bad}/fail")
    assert (failed.body["attempt"], failed.body["retry"]) == (1, False)
    assert failed.body["error"].startswith("The server refused the result: result: not today. It is kept in ")
    running.stop()
    # Said once with the others, and once more by itself.
    assert len(server.of(f"jobs/{good}/complete")) == len(server.of(f"jobs/{fine}/complete")) == 2
    failures = [call.path for call in server.calls if call.path.endswith("/fail")]
    assert failures == [f"jobs/{bad}/fail"]


def test_a_result_over_the_limit_never_shares_a_call(server: FakeServer, run_bot: RunBot) -> None:
    fat, lean = server.add_job("fat"), server.add_job("lean")
    server.answers[f"jobs/{fat}/complete"] = [refusal(422, "invalid", "result: longer than 256 KiB.")]
    run_bot({"fat": lambda job: "ä" * 140_000, "lean": lambda job: 1}, concurrency=2)
    assert server.wait_for(f"jobs/{fat}/fail")[0].body["retry"] is False
    server.wait_for(f"jobs/{lean}/complete")
    assert all(fat not in reports(call) for call in server.of("exchange"))


def test_a_report_that_breaks_the_server_does_not_hold_up_the_others_for_ever(
    server: FakeServer, run_bot: RunBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchanger_module, "LONGEST_OUTAGE_WAIT", 0.05)
    deadly, harmless = server.add_job("deadly"), server.add_job("harmless")
    server.answers[f"jobs/{deadly}/complete"] = [Answer(status=502)]
    server.sticky.add(f"jobs/{deadly}/complete")
    later = threading.Event()
    handlers = {"deadly": lambda job: None, "harmless": lambda job: later.wait(DEADLINE)}
    run_bot(handlers, concurrency=2, heartbeat_every=60)
    server.wait_for("exchange")
    later.set()
    # By its own call, which is a call with a body of its own.
    server.wait_for(f"jobs/{harmless}/complete", where=lambda call: call.size > 0)


def test_a_report_rejected_in_an_exchange_leaves_the_others_alone(server: FakeServer, run_bot: RunBot) -> None:
    lost, good = server.add_job("sum"), server.add_job("sum")
    server.answers[f"jobs/{lost}/complete"] = [lease_lost()]
    run_bot({"sum": lambda job: None}, prefetch=1)
    server.wait_for(f"jobs/{good}/complete")
    running = server.wait_for(f"jobs/{lost}/complete")
    assert len(running) == 1
    assert not [call for call in server.calls if call.path.endswith("/fail")]


# --- Lost answers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alone", [True, False])
def test_reports_of_an_exchange_whose_answer_was_lost_are_sent_again_without_its_claim(
    server: FakeServer, run_bot: RunBot, alone: bool
) -> None:
    job = server.add_job("sum")
    server.answers["exchange"] = [Answer(drop=True)]
    run_bot({"sum": lambda job: None}, heartbeat_every=60, alone=alone)
    first, second = server.wait_for("exchange", times=2)
    assert reports(first) == reports(second) == [job]
    assert "claim" in first.body
    assert "claim" not in second.body
    # A hello gives back what it may hold besides what it knows of.
    server.wait_for("hello", times=2)


def test_the_reports_of_a_bot_that_was_replaced_go_out_without_a_claim(server: FakeServer, run_bot: RunBot) -> None:
    job = server.add_job("sum")
    server.answers["exchange"] = [refusal(409, "instance_replaced")]
    assert run_bot({"sum": lambda job: None}, heartbeat_every=60).ended() == EXIT_REPLACED
    server.wait_for(f"jobs/{job}/complete")
    assert "claim" not in server.of("exchange")[-1].body


def test_a_bot_that_may_hold_unknown_jobs_says_what_it_holds_before_it_takes_more(
    server: FakeServer, run_bot: RunBot
) -> None:
    gate = Gate()
    slow = gate.add(server.add_job("slow"))
    server.add_job("quick")
    server.answers["exchange"] = [Answer(drop=True)]
    run_bot({"slow": gate.handler, "quick": lambda job: None}, concurrency=2, heartbeat_every=60)
    server.wait_for("exchange", times=2)
    later = server.add_job("quick")
    # The slow job goes on, and a place is free.
    server.wait_for(f"jobs/{later}/complete")
    again = server.of("hello")[1]
    assert [slow, 1] in again.body["holds"]
    paths = [call.path for call in server.calls]
    # The first claim brought both jobs; the one whose answer was lost is in the exchange that was dropped.
    assert paths[: paths.index("hello", 1)].count("claim") == 1
    gate.let(slow)


def test_an_exchange_the_server_was_too_busy_for_is_repeated_in_its_time(server: FakeServer, run_bot: RunBot) -> None:
    job = server.add_job("sum")
    server.answers["exchange"] = [Answer(status=429, headers={"Retry-After": "1"}), Answer(status=503)]
    run_bot({"sum": lambda job: 3}, heartbeat_every=60)
    tries = server.wait_for("exchange", times=3)
    assert [reports(call) for call in tries] == [[job]] * 3


def test_a_server_of_old_gets_the_same_reports_one_by_one(server: FakeServer, run_bot: RunBot) -> None:
    server.answers["exchange"] = [refusal(404, "not_found")]
    server.sticky.add("exchange")
    jobs = [server.add_job("sum") for _ in range(10)]
    run_bot({"sum": lambda job: None}, concurrency=2, prefetch=2)
    for job in jobs:
        server.wait_for(f"jobs/{job}/complete")
    assert len(server.of("exchange")) == 1


def test_a_prefetch_below_zero_is_refused_at_once(server: FakeServer, run_bot: RunBot) -> None:
    with pytest.raises(ValueError, match="prefetch"):
        run_bot({"sum": lambda job: None}, prefetch=-1)


# --- Two attempts of one job ------------------------------------------------------------------------------------------


def test_two_attempts_of_one_job_are_never_named_in_one_exchange(server: FakeServer, run_bot: RunBot) -> None:
    let = {1: threading.Event(), 2: threading.Event()}
    first = {"id": 7, "kind": "sum", "attempt": 1, "payload": None, "priority": 0}
    server.pending += [first, first | {"attempt": 2}]

    def handler(job: Job) -> int:
        assert let[job.attempt].wait(DEADLINE)
        return job.attempt

    run_bot({"sum": handler}, concurrency=2)
    for attempt in (1, 2):
        server.wait_for("jobs/7/heartbeat", times=2, where=lambda call, n=attempt: call.body["attempt"] == n)
    server.answers["exchange"] = [Answer(status=503)]
    let[1].set()
    let[2].set()
    done = server.wait_for("jobs/7/complete", times=2)
    assert sorted((call.body["attempt"], call.body["result"]) for call in done) == [(1, 1), (2, 2)]
    for call in server.of("exchange"):
        named = [report["id"] for sort in ("completed", "heartbeats") for report in call.body.get(sort, ())]
        assert len(named) <= 1
