"""A handler that does not stop costs its slot: the server hears of it, and a process without a slot ends."""

import inspect
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from jobsite_client import EXIT_RESTART, Bot, exchanger, runner
from jobsite_client.endings import Ending
from jobsite_client.runner import Runner

from . import handlers
from .conftest import Running
from .fake_server import DEADLINE, Call, FakeServer, lease_lost

RunBot = Callable[..., Running]


@pytest.fixture
def end() -> Iterator[threading.Event]:
    """Set when the test is over: what hangs until then."""
    end = threading.Event()
    yield end
    end.set()


def slots(**expected: int) -> Callable[[Call], bool]:
    return lambda call: call.body.get("slots") == expected


# --- In threads -------------------------------------------------------------------------------------------------------


def test_every_claim_says_how_many_slots_there_are(server: FakeServer, run_bot: RunBot, end: threading.Event) -> None:
    run_bot({"slow": lambda job: end.wait(DEADLINE)}, concurrency=2)
    server.wait_for("claim", where=slots(all=2, free=2, lost=0))
    server.add_job("slow")
    server.wait_for("heartbeat", where=slots(all=2, free=1, lost=0))


def test_a_slot_is_lost_to_a_handler_that_was_told_to_stop_and_does_not(
    server: FakeServer, run_bot: RunBot, end: threading.Event
) -> None:
    job = server.add_job("deaf")
    server.answers[f"jobs/{job}/heartbeat"] = [lease_lost(cancel=True)]
    run_bot({"deaf": lambda job: end.wait(DEADLINE), "sum": lambda job: None}, concurrency=2)
    server.wait_for("heartbeat", where=slots(all=2, free=1, lost=1))
    # The other slot goes on, and asks for one job.
    other = server.add_job("sum")
    server.wait_for(f"jobs/{other}/complete")
    assert server.of("claim")[-1].body["limit"] == 1


def test_a_slot_comes_back_when_its_handler_ends_after_all(
    server: FakeServer, run_bot: RunBot, end: threading.Event
) -> None:
    job = server.add_job("deaf")
    server.answers[f"jobs/{job}/heartbeat"] = [lease_lost()]
    run_bot({"deaf": lambda job: end.wait(DEADLINE)}, concurrency=2)
    server.wait_for("heartbeat", where=slots(all=2, free=1, lost=1))
    end.set()
    server.wait_for("heartbeat", where=slots(all=2, free=2, lost=0))


def test_a_process_whose_slots_are_all_lost_ends_with_75(
    server: FakeServer, run_bot: RunBot, end: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    job = server.add_job("deaf")
    server.answers[f"jobs/{job}/heartbeat"] = [lease_lost(cancel=True)]
    assert run_bot({"deaf": lambda job: end.wait(DEADLINE)}).ended() == EXIT_RESTART
    assert "No slot is left" in caplog.text


def test_the_times_at_the_end_are_less_than_a_supervisor_waits() -> None:
    assert exchanger.WORKING_EVERY <= 5
    grace = inspect.signature(Bot).parameters["grace"].default
    # With a server that answers the rest takes no time.
    assert grace + runner.LAST_ANSWER + runner.HANDLER_STOP_WAIT < 5
    assert grace + runner.REPORTS_WITHIN + runner.GOODBYE_WITHIN + runner.LAST_ANSWER + runner.HANDLER_STOP_WAIT < 10


# --- Time-outs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [0.1, {"slow": 0.1}])
def test_a_handler_that_runs_for_too_long_is_told_to_stop_and_its_job_fails(
    server: FakeServer, run_bot: RunBot, timeout: Any
) -> None:
    job = server.add_job("slow")
    run_bot({"slow": handlers.obedient, "sum": lambda job: None}, timeout=timeout, grace=DEADLINE)
    (failed,) = server.wait_for(f"jobs/{job}/fail")
    assert (failed.body["error"], failed.body["retry"]) == ("It ran longer than its time-out of 0.1 s.", True)


def test_the_job_of_a_handler_that_does_not_stop_fails_all_the_same(
    server: FakeServer, run_bot: RunBot, end: threading.Event
) -> None:
    job = server.add_job("deaf")
    run_bot({"deaf": lambda job: end.wait(DEADLINE)}, timeout=0.1, concurrency=2)
    (failed,) = server.wait_for(f"jobs/{job}/fail")
    assert failed.body["error"] == "It ran longer than its time-out of 0.1 s."
    server.wait_for("heartbeat", where=slots(all=2, free=1, lost=1))


@pytest.mark.parametrize(
    ("options", "about"),
    [
        ({"timeout": -1}, "timeout"),
        ({"timeout": {"other": 1}}, "timeout"),
        ({"processes": -1}, "processes"),
        ({"processes": 2, "concurrency": 3}, "leave concurrency out"),
    ],
)
def test_what_cannot_be_is_refused(server: FakeServer, options: dict[str, Any], about: str) -> None:
    with pytest.raises(ValueError, match=about):
        Bot(server.url, "t", {"sum": lambda job: None}, **options)


# --- In processes -----------------------------------------------------------------------------------------------------


def test_handlers_run_in_processes_of_their_own_that_are_killed_when_they_do_not_stop(
    server: FakeServer, run_bot: RunBot
) -> None:
    kinds = ("where", "broken", "hopeless", "gone", "deaf")
    jobs = {kind: server.add_job(kind) for kind in kinds}
    run_bot({kind: getattr(handlers, kind) for kind in kinds}, processes=1, timeout={"deaf": 0.1})
    (done,) = server.wait_for(f"jobs/{jobs['where']}/complete")
    assert done.body["result"] != os.getpid()
    failed = {kind: server.wait_for(f"jobs/{jobs[kind]}/fail")[0].body for kind in kinds[1:]}
    assert "RuntimeError: the disk is full" in failed["broken"]["error"]
    assert (failed["hopeless"]["error"], failed["hopeless"]["retry"]) == ("There is no file.", False)
    assert failed["gone"]["error"] == "The process of the handler ended with exit code 9."
    assert failed["deaf"]["error"] == "It ran longer than its time-out of 0.1 s."
    # A process that was killed costs no slot.
    again = server.add_job("where")
    server.wait_for(f"jobs/{again}/complete")
    server.wait_for("claim", where=slots(all=1, free=1, lost=0))


def test_a_process_forgets_the_jobs_that_it_has_done(server: FakeServer, run_bot: RunBot) -> None:
    jobs = [server.add_job("known") for _ in range(3)]
    run_bot({"known": handlers.known}, processes=1)
    assert [server.wait_for(f"jobs/{job}/complete")[0].body["result"] for job in jobs] == [1, 1, 1]


def test_no_process_outlives_a_bot_that_fails(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Runner, ending: Ending) -> None:
        raise RuntimeError("it broke")

    job = server.add_job("where")
    failing = Bot(server.url, "t", {"where": handlers.where}, processes=1)
    monkeypatch.setattr(Runner, "_shut_down", fail)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(failing.run)
        (done,) = server.wait_for(f"jobs/{job}/complete")
        failing.stop()
        with pytest.raises(RuntimeError, match="it broke"):
            running.result(DEADLINE)
    assert done.body["result"] not in [child.pid for child in multiprocessing.active_children()]
