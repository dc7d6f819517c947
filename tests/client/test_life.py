"""A bot's life on the server: hello, pause, restart, being replaced, being refused."""

import os
import threading
from collections.abc import Callable

import pytest

from jobsite_client import EXIT_REFUSED, EXIT_REPLACED, EXIT_RESTART, EXIT_STOPPED, Bot, Job, claimer, runner
from jobsite_client.claimer import host_name

from .conftest import Running, either_way, handed_back
from .fake_server import DEADLINE, Answer, FakeServer, refusal

pytestmark = either_way
RunBot = Callable[..., Running]


def test_a_bot_says_hello_and_then_names_its_instance_with_every_call(server: FakeServer, run_bot: RunBot) -> None:
    job = server.add_job("sum")
    run_bot({"sum": lambda job: None}, version="1.2")
    server.wait_for(f"jobs/{job}/complete")
    hello = server.calls[0]
    assert hello.path == "hello"
    instance = hello.body["instance"]
    about = {"instance": instance, "identity": host_name(), "host": host_name(), "pid": os.getpid(), "version": "1.2"}
    assert hello.body == about | {"kinds": ["sum"], "slots": {"all": 1, "free": 1, "lost": 0}}
    assert 0 < len(instance) <= 100
    assert {call.headers["Bot-Instance"] for call in server.calls} == {instance}


def test_each_process_has_an_instance_of_its_own(server: FakeServer, run_bot: RunBot) -> None:
    run_bot({"sum": lambda job: None}, alone=False)
    run_bot({"sum": lambda job: None}, alone=False)
    hellos = server.wait_for("hello", times=2)
    assert len({call.body["instance"] for call in hellos}) == 2
    assert len({call.body["identity"] for call in hellos}) == 2


def test_a_process_may_have_an_identity_that_stays(server: FakeServer, run_bot: RunBot) -> None:
    run_bot({"sum": lambda job: None}, identity="pod-1")
    assert server.wait_for("hello")[0].body["identity"] == "pod-1"
    with pytest.raises(ValueError, match="not both"):
        Bot(server.url, "t", {"sum": lambda job: None}, identity="pod-1", alone=False)


def test_what_the_server_warns_of_is_logged(
    server: FakeServer, run_bot: RunBot, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers["hello"] = [Answer({"warnings": ["No job of kind smu has ever been enqueued."]})]
    run_bot({"smu": lambda job: None})
    server.wait_for("claim")
    assert "No job of kind smu" in caplog.text


def test_a_bot_waits_for_a_server_that_is_not_there_yet(server: FakeServer, run_bot: RunBot) -> None:
    server.answers["hello"] = [Answer(status=503), Answer(status=502), refusal(500, "internal"), Answer(drop=True)]
    run_bot({"sum": lambda job: None})
    server.wait_for("claim")
    assert len(server.of("hello")) == 5


def test_a_paused_bot_keeps_asking(server: FakeServer, run_bot: RunBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claimer, "PAUSED_EVERY", 0.05)
    server.paused = True
    running = run_bot({"sum": lambda job: None})
    server.wait_for("claim", times=3)
    assert running.stop() == EXIT_STOPPED


def test_a_bot_goes_on_after_claims_that_failed(server: FakeServer, run_bot: RunBot) -> None:
    server.answers["claim"] = [Answer(status=503), refusal(500, "internal"), Answer(b"<html>"), Answer(status=429)]
    job = server.add_job("sum")
    run_bot({"sum": lambda job: None})
    server.wait_for(f"jobs/{job}/complete")


def test_jobs_of_a_claim_whose_answer_was_lost_go_back_by_a_new_hello(server: FakeServer, run_bot: RunBot) -> None:
    server.answers["claim"] = [Answer(drop=True)]
    run_bot({"sum": lambda job: None})
    hellos = server.wait_for("hello", times=2)
    assert hellos[0].body["instance"] != hellos[1].body["instance"]
    server.wait_for("claim", where=lambda call: call.headers["Bot-Instance"] == hellos[1].body["instance"])


def test_a_process_keeps_its_identity_when_it_says_what_it_holds(server: FakeServer, run_bot: RunBot) -> None:
    server.answers["claim"] = [Answer(drop=True)]
    run_bot({"sum": lambda job: None}, alone=False)
    first, again = server.wait_for("hello", times=2)
    assert again.body == first.body | {"instance": again.body["instance"], "holds": []}
    assert again.body["instance"] != first.body["instance"]
    server.wait_for("claim", times=2)


@pytest.mark.parametrize("lost", [Answer(drop=True), refusal(503, "outcome_unknown")], ids=["dropped", "not known"])
def test_a_bot_says_what_it_holds_before_it_claims_again(server: FakeServer, run_bot: RunBot, lost: Answer) -> None:
    slow = server.add_job("slow")
    held = server.pending.pop()
    let = threading.Event()
    body = {"jobs": [held], "paused": False, "restart": False}
    server.answers["claim"] = [Answer(body), lost]
    run_bot({"slow": lambda job: let.wait(DEADLINE), "sum": lambda job: None}, concurrency=2, heartbeat_every=60)
    _, again = server.wait_for("hello", times=2)
    assert again.body["holds"] == [[slow, 1]]
    later = server.add_job("sum")
    server.wait_for(f"jobs/{later}/complete")
    paths = [call.path for call in server.calls]
    assert paths[: paths.index("hello", 1)].count("claim") == 2
    let.set()
    server.wait_for(f"jobs/{slow}/complete")


def test_a_claim_that_the_server_certainly_refused_needs_no_hello(server: FakeServer, run_bot: RunBot) -> None:
    server.answers["claim"] = [refusal(503, "unavailable"), refusal(429, "busy")]
    job = server.add_job("sum")
    run_bot({"sum": lambda job: None})
    server.wait_for(f"jobs/{job}/complete")
    assert len(server.of("hello")) == 1


def test_an_order_to_restart_may_come_with_the_second_hello(server: FakeServer, run_bot: RunBot) -> None:
    server.answers["claim"] = [Answer(drop=True)]
    server.answers["hello"] = [Answer({}), Answer({"restart": True})]
    assert run_bot({"sum": lambda job: None}).ended() == EXIT_RESTART


@pytest.mark.parametrize("by", ["claim", "heartbeat", "job's heartbeat"])
def test_a_restart_hands_back_and_exits_with_75(server: FakeServer, run_bot: RunBot, by: str) -> None:
    job = server.add_job("slow")
    orders = {"paused": False, "restart": True, "cancel": False}
    heard: list[str] = []
    stopped = threading.Event()

    def slow(job: Job) -> None:
        job.cancelled.wait(DEADLINE)
        stopped.set()
        job.check()

    if by == "claim":
        body = {"jobs": [{"id": job, "kind": "slow", "attempt": 1, "payload": None}], **orders}
        server.answers["claim"] = [Answer(body)]
    else:
        server.answers["heartbeat" if by == "heartbeat" else f"jobs/{job}/heartbeat"] = [Answer(orders)]
    running = run_bot({"slow": slow}, grace=DEADLINE, on_restart=lambda: heard.append("restart"))
    assert running.ended() == EXIT_RESTART
    if by == "claim":
        # A job that came with the order may be handed back by itself, after the goodbye.
        assert server.of("goodbye")
        assert [call.body for call in server.of(f"jobs/{job}/release")] in ([], [{"attempt": 1}])
    elif by != "heartbeat":
        # The bot's own heartbeat may be answered before there is a job at all.
        assert handed_back(server, job)
    if by == "job's heartbeat":
        # A job that came with the order to restart may be handed back before its handler has begun.
        assert stopped.wait(DEADLINE)
    assert heard == ["restart"]


def test_a_bot_that_was_replaced_stops_and_says_so(
    server: FakeServer, run_bot: RunBot, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers["claim"] = [refusal(409, "instance_replaced", "Another instance said hello.")]
    assert run_bot({"sum": lambda job: None}).ended() == EXIT_REPLACED
    assert "Another process of this bot has started" in caplog.text


@pytest.mark.parametrize("path", ["hello", "claim", "heartbeat"])
def test_a_revoked_token_ends_the_bot(
    server: FakeServer, run_bot: RunBot, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    server.answers[path] = [refusal(401, "unauthorized", "This token was revoked.")]
    assert run_bot({"sum": lambda job: None}).ended() == EXIT_REFUSED
    assert "This token was revoked." in caplog.text


def test_a_wrong_address_ends_the_bot(server: FakeServer, run_bot: RunBot, caplog: pytest.LogCaptureFixture) -> None:
    server.answers["hello"] = [Answer(b"<h1>Not here</h1>", 404)]
    assert run_bot({"sum": lambda job: None}).ended() == EXIT_REFUSED
    assert "refused this bot" in caplog.text


def test_a_claim_that_arrives_while_stopping_is_handed_back(
    server: FakeServer, run_bot: RunBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LAST_ANSWER", DEADLINE)
    monkeypatch.setattr(runner, "HAND_BACK_WITHIN", DEADLINE)
    server.answers["goodbye"] = [Answer()]
    asked, answer = threading.Event(), threading.Event()
    ordinary = server.reply

    def held_open(call):  # type: ignore[no-untyped-def]
        if call.path == "claim":
            asked.set()
            answer.wait(DEADLINE)
        return ordinary(call)

    server.reply = held_open  # type: ignore[method-assign]
    job = server.add_job("sum")
    running = run_bot({"sum": lambda job: None})
    assert asked.wait(DEADLINE)
    running.bot.stop()
    server.wait_until(lambda: running.bot.stopping)
    answer.set()
    assert running.ended() == EXIT_STOPPED
    assert [call.body for call in server.of(f"jobs/{job}/release")] == [{"attempt": 1}]
    assert not server.of(f"jobs/{job}/complete")
