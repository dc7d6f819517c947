"""How each ending of a handler reaches the server."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from jobsite_client import GiveUp, Job
from jobsite_client.claimer import WAIT

from .conftest import Running, either_way
from .fake_server import Answer, FakeServer, refusal

pytestmark = either_way
RunBot = Callable[..., Running]


def test_what_the_handler_returns_is_the_result(server: FakeServer, run_bot: RunBot) -> None:
    job = server.add_job("sum", {"numbers": [1, 2]})
    run_bot({"sum": lambda job: {"value": sum(job.payload["numbers"])}})
    [call] = server.wait_for(f"jobs/{job}/complete")
    assert call.body == {"attempt": 1, "result": {"value": 3}}
    assert call.headers["Authorization"] == "Bearer token-of-alice"


def test_a_handler_that_returns_nothing_completes_without_a_result(server: FakeServer, run_bot: RunBot) -> None:
    job = server.add_job("sum")
    run_bot({"sum": lambda job: None})
    [call] = server.wait_for(f"jobs/{job}/complete")
    assert call.body == {"attempt": 1}


def test_an_exception_fails_the_job_with_its_traceback(server: FakeServer, run_bot: RunBot) -> None:
    def breaks(job: Job) -> None:
        raise RuntimeError("the disk is full")

    job = server.add_job("sum")
    run_bot({"sum": breaks})
    [call] = server.wait_for(f"jobs/{job}/fail")
    assert call.body["retry"] is True
    assert "RuntimeError: the disk is full" in call.body["error"]
    assert "in breaks" in call.body["error"]
    assert "worker.py" not in call.body["error"]


def test_an_exit_inside_a_handler_fails_the_job_and_not_the_bot(server: FakeServer, run_bot: RunBot) -> None:
    def exits(job: Job) -> None:
        raise SystemExit(3)

    first, second = server.add_job("exits"), server.add_job("fine")
    run_bot({"exits": exits, "fine": lambda job: None})
    assert "SystemExit" in server.wait_for(f"jobs/{first}/fail")[0].body["error"]
    server.wait_for(f"jobs/{second}/complete")


def test_giving_up_fails_the_job_for_good(server: FakeServer, run_bot: RunBot) -> None:
    def gives_up(job: Job) -> None:
        raise GiveUp("There is no such picture.")

    job = server.add_job("sum")
    run_bot({"sum": gives_up})
    [call] = server.wait_for(f"jobs/{job}/fail")
    assert call.body == {"attempt": 1, "error": "There is no such picture.", "retry": False}


def test_an_endless_error_is_shortened_and_keeps_its_end(server: FakeServer, run_bot: RunBot) -> None:
    def rambles(job: Job) -> None:
        raise RuntimeError("ä\0" * 200_000 + " the last words")

    job = server.add_job("sum")
    run_bot({"sum": rambles})
    error = server.wait_for(f"jobs/{job}/fail")[0].body["error"]
    assert len(error.encode()) <= 64 * 1024
    assert error.endswith("the last words\n")
    assert error.startswith("Traceback")
    assert "\0" not in error


@pytest.mark.parametrize(
    "result", [{1: object()}, float("nan"), "\ud800", 10**5000], ids=["object", "nan", "surrogate", "long"]
)
def test_a_result_that_is_not_json_fails_the_job_for_good(server: FakeServer, run_bot: RunBot, result: Any) -> None:
    job = server.add_job("sum")
    run_bot({"sum": lambda job: result})
    [call] = server.wait_for(f"jobs/{job}/fail")
    assert call.body["retry"] is False
    assert "cannot be sent as JSON" in call.body["error"]


def test_a_result_the_server_refuses_fails_the_job_with_the_servers_reason(server: FakeServer, run_bot: RunBot) -> None:
    job = server.add_job("sum")
    server.answers[f"jobs/{job}/complete"] = [refusal(422, "invalid", "result: longer than 256 KiB.")]
    run_bot({"sum": lambda job: "x" * 300_000})
    [call] = server.wait_for(f"jobs/{job}/fail")
    assert call.body["retry"] is False
    assert "longer than 256 KiB" in call.body["error"]


def test_a_report_outlives_an_outage_of_the_server(server: FakeServer, run_bot: RunBot) -> None:
    job = server.add_job("sum")
    server.answers[f"jobs/{job}/complete"] = [Answer(status=503), Answer(drop=True)]
    run_bot({"sum": lambda job: 3})
    assert server.wait_for(f"jobs/{job}/complete", times=3)[-1].body["result"] == 3


def test_no_more_is_claimed_than_there_are_free_threads(server: FakeServer, run_bot: RunBot) -> None:
    release = threading.Event()
    for _ in range(3):
        server.add_job("sum")
    run_bot({"sum": lambda job: release.wait(20)}, concurrency=2)
    server.wait_for("jobs/1/heartbeat")
    server.wait_for("jobs/2/heartbeat")
    assert [call.body["limit"] for call in server.of("claim")] == [2]
    release.set()
    server.wait_for("jobs/3/complete")


def test_only_kinds_with_a_handler_are_claimed(server: FakeServer, run_bot: RunBot) -> None:
    run_bot({"sum": lambda job: None, "divide": lambda job: None})
    claim = server.wait_for("claim")[0].body
    assert claim == {"limit": 1, "kinds": ["divide", "sum"], "start": True, "wait": WAIT} | {
        "slots": {"all": 1, "free": 1, "lost": 0}
    }


def test_integers_of_any_length_reach_the_handler_exactly(server: FakeServer, run_bot: RunBot) -> None:
    seen: list[int] = []
    body = b'{"jobs":[{"id":9,"kind":"sum","attempt":1,"payload":[-%b,1]}],"paused":false,"restart":false}' % (
        b"7" * 6000
    )
    server.answers["claim"] = [Answer(body)]
    run_bot({"sum": lambda job: seen.extend(job.payload)})
    server.wait_for("jobs/9/complete")
    assert seen == [-(7 * (10**6000 - 1) // 9), 1]
