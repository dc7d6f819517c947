"""A bot with nothing to do: it waits at the server, and neither its reports nor its end wait with it."""

import itertools
import threading
import time
from collections.abc import Callable

import pytest

from jobsite_client import EXIT_STOPPED, Client, claimer

from .conftest import Running
from .fake_server import DEADLINE, Answer, FakeServer, refusal

RunBot = Callable[..., Running]


def waiting(call):  # type: ignore[no-untyped-def]
    """Whether it is a claim that the server may hold open."""
    return "wait" in call.body


def test_an_idle_bot_waits_at_the_server_and_gets_its_job_by_that_very_call(
    server: FakeServer, run_bot: RunBot
) -> None:
    run_bot({"sum": lambda job: None}, heartbeat_every=60)
    server.wait_until(lambda: server.waiting == 1)
    job = server.add_job("sum")
    server.wait_for(f"jobs/{job}/complete")
    paths = [call.path for call in server.calls]
    assert paths[: paths.index("exchange")] == ["hello", "claim"]


def test_a_server_of_old_is_asked_again_and_again(run_bot: RunBot, server: FakeServer) -> None:
    server.waiters, server._exchanges = 0, False
    run_bot({"sum": lambda job: None})
    server.wait_for("claim", times=3)
    job = server.add_job("sum")
    server.wait_for(f"jobs/{job}/complete")


def test_a_report_goes_out_while_a_claim_waits(server: FakeServer, run_bot: RunBot) -> None:
    finish = threading.Event()
    job = server.add_job("slow")
    run_bot({"slow": lambda job: finish.wait(DEADLINE)}, concurrency=2)
    server.wait_until(lambda: server.waiting == 1)
    finish.set()
    server.wait_for(f"jobs/{job}/complete")
    assert len(server.of("claim")) >= 2


def test_room_that_a_waiting_claim_may_fill_is_not_claimed_twice(server: FakeServer, run_bot: RunBot) -> None:
    finish = threading.Event()
    first = server.add_job("slow")
    run_bot({"slow": lambda job: finish.wait(DEADLINE)}, concurrency=3, prefetch=2)
    server.wait_for("claim", times=2)
    finish.set()
    [exchange] = server.wait_for("exchange", where=lambda call: "completed" in call.body)
    assert [call.body["limit"] for call in server.of("claim") if waiting(call)][:2] == [5, 4]
    # Four places are promised to the claim that waits, so only the one that became free is asked for.
    assert exchange.body["completed"] == [{"id": first, "attempt": 1, "result": True}]
    assert exchange.body["claim"]["limit"] == 1
    assert "wait" not in exchange.body["claim"]


def test_a_server_with_too_many_waiters_is_left_alone_for_as_long_as_it_asks(
    server: FakeServer, run_bot: RunBot
) -> None:
    server.waiters = 0
    times: list[float] = []
    ordinary = server.reply

    def timed(call):  # type: ignore[no-untyped-def]
        if call.path == "claim":
            times.append(time.monotonic())
        return ordinary(call)

    server.reply = timed  # type: ignore[method-assign]
    run_bot({"sum": lambda job: None}, poll_every=0.01)
    server.wait_for("claim", times=3)
    assert all(later - earlier >= 1.0 for earlier, later in itertools.pairwise(times))


def test_a_report_carries_its_claim_along_even_where_no_more_may_wait(server: FakeServer, run_bot: RunBot) -> None:
    first, second = server.add_job("sum"), server.add_job("sum")
    body = {"jobs": [server.pending.pop(0)], "paused": False, "restart": False}
    server.answers["claim"] = [Answer(body, headers={"Retry-After": "3600"})]
    run_bot({"sum": lambda job: None})
    server.wait_for(f"jobs/{first}/complete")
    server.wait_for(f"jobs/{second}/complete")
    assert [waiting(call) for call in server.of("claim")][:2] == [True, False]


def test_a_good_exchange_may_ask_to_be_left_alone_too(server: FakeServer, run_bot: RunBot) -> None:
    job = server.add_job("sum")
    server.answers["exchange"] = [Answer({"accepted": [job]}, headers={"Retry-After": "3600"})]
    run_bot({"sum": lambda job: None})
    server.wait_for("exchange")
    server.wait_for("heartbeat", times=len(server.of("heartbeat")) + 3)
    assert len(server.of("claim")) == 1


def test_a_claims_answer_tells_when_to_come_again(server: FakeServer) -> None:
    server.waiters = 0
    with Client(server.url, "t") as client:
        assert client.claim(wait=1).retry_after == 1.0
        assert client.claim().retry_after is None


@pytest.mark.parametrize("alone", [True, False])
def test_a_bot_that_waits_stops_promptly(server: FakeServer, run_bot: RunBot, alone: bool) -> None:
    running = run_bot({"sum": lambda job: None}, grace=600, alone=alone)
    server.wait_until(lambda: server.waiting == 1)
    began = time.monotonic()
    assert running.stop() == EXIT_STOPPED
    assert time.monotonic() - began < claimer.WAIT / 2


def test_the_claim_that_a_stopped_bot_leaves_behind_gets_nothing(server: FakeServer, run_bot: RunBot) -> None:
    running = run_bot({"sum": lambda job: None})
    server.wait_until(lambda: server.waiting == 1)
    assert running.stop() == EXIT_STOPPED
    (goodbye,) = server.of("goodbye")
    assert goodbye.body == {"instance": goodbye.headers["Bot-Instance"]}
    server.add_job("sum")
    server.wait_until(lambda: server.waiting == 0)
    assert len(server.pending) == 1


def test_a_revoked_token_ends_a_bot_that_waited(server: FakeServer, run_bot: RunBot) -> None:
    running = run_bot({"sum": lambda job: None})
    server.wait_until(lambda: server.waiting == 1)
    server.answers["heartbeat"] = [refusal(401, "unauthorized", "This token was revoked.")]
    assert running.ended() == 77
