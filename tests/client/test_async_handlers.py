"""Handlers made by `async def`: on one loop, as many at a time as there are slots, cancelled when they are to stop."""

import asyncio
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from jobsite_client import EXIT_RESTART, Bot, GiveUp, Job, RetryLater

from . import handlers
from .conftest import Running, either_way, handed_back
from .fake_server import DEADLINE, FakeServer, lease_lost
from .test_slots import slots

RunBot = Callable[..., Running]


@either_way
def test_what_it_returns_is_the_result(server: FakeServer, run_bot: RunBot) -> None:
    async def add(job: Job, numbers: list[int]) -> int:
        await asyncio.sleep(0)
        return sum(numbers)

    job, wrong = server.add_job("add", [1, 2]), server.add_job("add", [1, "2"])
    run_bot({"add": add})
    assert server.wait_for(f"jobs/{job}/complete")[0].body["result"] == 3
    assert "[1] must be a whole number" in server.wait_for(f"jobs/{wrong}/fail")[0].body["error"]


async def gives_up(job: Job) -> None:
    raise GiveUp("There is no file.")


async def retries(job: Job) -> None:
    raise RetryLater(90)


async def exits(job: Job) -> None:
    raise SystemExit(3)


async def cancels_itself(job: Job) -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("handler", "error", "rest"),
    [
        (handlers.raises, "RuntimeError: the disk is full", {"retry": True}),
        (gives_up, "There is no file.", {"retry": False}),
        (retries, "Try again in 90 s.", {"retry": True, "retry_in": 90}),
        (exits, "SystemExit: 3", {"retry": True}),
        (cancels_itself, "CancelledError", {"retry": True}),
    ],
)
@pytest.mark.parametrize("mixed", [False, True], ids=["loop", "threads too"])
def test_what_it_raises_fails_the_job_and_not_the_bot(
    server: FakeServer, run_bot: RunBot, handler: Any, error: str, rest: dict[str, Any], mixed: bool
) -> None:
    job, fine = server.add_job("bad"), server.add_job("fine")
    run_bot({"bad": handler, "fine": (lambda job: os.getpid()) if mixed else handlers.slowly})
    (failed,) = server.wait_for(f"jobs/{job}/fail")
    assert error in failed.body["error"]
    assert "jobsite_client" not in failed.body["error"]
    assert failed.body == {"attempt": 1, "error": failed.body["error"]} | rest
    assert server.wait_for(f"jobs/{fine}/complete")[0].body["result"] == os.getpid()


def test_it_puts_its_job_off(server: FakeServer, run_bot: RunBot) -> None:
    async def defers(job: Job) -> None:
        job.defer(60, "not yet")

    job = server.add_job("sum")
    run_bot({"sum": defers})
    assert server.wait_for(f"jobs/{job}/release")[0].body["run_in"] == 60


@pytest.mark.parametrize("mixed", [False, True], ids=["loop", "threads too"])
def test_as_many_run_as_there_are_slots_all_in_one_thread(server: FakeServer, run_bot: RunBot, mixed: bool) -> None:
    at_once, most, threads = 0, 0, set()
    full = threading.Event()

    async def meets(job: Job) -> None:
        nonlocal at_once, most
        at_once, most = at_once + 1, max(most, at_once + 1)
        threads.add(threading.get_ident())
        if at_once == 10:
            full.set()
        while not full.is_set():
            await asyncio.sleep(0.001)
        at_once -= 1

    jobs = [server.add_job("meets") for _ in range(25)]
    run_bot({"meets": meets} | ({"sum": lambda job: 1} if mixed else {}), concurrency=10, prefetch=5)
    for job in jobs:
        server.wait_for(f"jobs/{job}/complete")
    assert (most, len(threads)) == (10, 1)


def test_both_sorts_share_the_slots(server: FakeServer, run_bot: RunBot) -> None:
    go = threading.Event()

    async def waits(job: Job) -> None:
        while not go.is_set():
            await asyncio.sleep(0.001)

    jobs = [server.add_job(kind) for kind in ("async", "sync", "async", "sync")]
    run_bot({"async": waits, "sync": lambda job: go.wait(DEADLINE)}, concurrency=2)
    server.wait_for("heartbeat", where=slots(all=2, free=0, lost=0))
    assert [job["id"] for job in server.pending] == jobs[2:]
    go.set()
    for job in jobs:
        server.wait_for(f"jobs/{job}/complete")


def test_a_sync_function_that_returns_a_coroutine_is_explained(server: FakeServer, run_bot: RunBot) -> None:
    job = server.add_job("sum")
    run_bot({"sum": lambda job: handlers.slowly(job)})
    (failed,) = server.wait_for(f"jobs/{job}/fail")
    assert ("returned a coroutine" in failed.body["error"], failed.body["retry"]) == (True, False)


# --- To be stopped ----------------------------------------------------------------------------------------------------


class Waiting:
    """A handler that waits for what does not come, and what happened to it."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.why = ""

    async def __call__(self, job: Job) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.why = job.cancelled_because
            raise
        finally:
            self.ended.set()


@pytest.mark.parametrize("mixed", [False, True], ids=["loop", "threads too"])
@pytest.mark.parametrize("cancel", [True, False], ids=["cancelled", "released"])
def test_it_is_cancelled_when_its_lease_is_lost(server: FakeServer, run_bot: RunBot, cancel: bool, mixed: bool) -> None:
    job = server.add_job("waits")
    server.answers[f"jobs/{job}/heartbeat"] = [lease_lost(cancel=cancel)]
    waiting = Waiting()
    run_bot({"waits": waiting} | ({"sum": lambda job: 1} if mixed else {}))
    assert waiting.ended.wait(DEADLINE)
    assert "it was stuck" in waiting.why
    # Its slot is free again, and nothing was reported of it.
    other = server.add_job("waits")
    server.wait_for(f"jobs/{other}/heartbeat")
    assert not server.of(f"jobs/{job}/fail") and not server.of(f"jobs/{job}/complete")


@pytest.mark.parametrize("options", [{}, {"processes": 1}], ids=["loop", "processes"])
def test_it_is_cancelled_at_its_time_out_and_the_job_fails(
    server: FakeServer, run_bot: RunBot, options: dict[str, Any]
) -> None:
    job = server.add_job("waits")
    run_bot({"waits": handlers.waits, "slowly": handlers.slowly}, timeout={"waits": 0.1}, grace=DEADLINE, **options)
    (failed,) = server.wait_for(f"jobs/{job}/fail")
    assert (failed.body["error"], failed.body["retry"]) == ("It ran longer than its time-out of 0.1 s.", True)
    other = server.add_job("slowly")
    assert (server.wait_for(f"jobs/{other}/complete")[0].body["result"] == os.getpid()) == (not options)


def test_it_is_cancelled_when_the_bot_stops_and_its_job_is_handed_back(server: FakeServer, run_bot: RunBot) -> None:
    job = server.add_job("waits")
    waiting = Waiting()
    running = run_bot({"waits": waiting})
    server.wait_for(f"jobs/{job}/heartbeat")
    assert running.stop() == 0
    assert waiting.ended.is_set()
    assert handed_back(server, job)


def test_one_that_goes_on_all_the_same_costs_its_slot(server: FakeServer, run_bot: RunBot) -> None:
    async def deaf(job: Job) -> None:
        while not server.of("goodbye"):
            try:
                await asyncio.sleep(0.001)
            except asyncio.CancelledError:
                continue

    job = server.add_job("deaf")
    server.answers[f"jobs/{job}/heartbeat"] = [lease_lost(cancel=True)]
    running = run_bot({"deaf": deaf, "slowly": handlers.slowly}, concurrency=2)
    server.wait_for("heartbeat", where=slots(all=2, free=1, lost=1))
    other = server.add_job("slowly")
    server.wait_for(f"jobs/{other}/complete")
    running.stop()


def test_one_that_blocks_the_loop_stops_no_heartbeat_and_the_bot_ends_with_75(
    server: FakeServer, run_bot: RunBot
) -> None:
    over = threading.Event()

    async def blocks(job: Job) -> None:
        over.wait(DEADLINE)

    job = server.add_job("blocks")
    running = run_bot({"blocks": blocks})
    server.wait_for(f"jobs/{job}/heartbeat", times=2)
    server.answers[f"jobs/{job}/heartbeat"] = [lease_lost(cancel=True)]
    assert running.ended() == EXIT_RESTART
    over.set()


def test_a_job_that_is_stopped_before_its_turn_never_begins(server: FakeServer, run_bot: RunBot) -> None:
    first, second = server.add_job("waits"), server.add_job("slowly")
    server.answers[f"jobs/{second}/heartbeat"] = [lease_lost()]
    go, begun = threading.Event(), []

    async def waits(job: Job) -> None:
        while not go.is_set():
            await asyncio.sleep(0.001)

    async def slowly(job: Job) -> None:
        begun.append(job.id)

    running = run_bot({"waits": waits, "slowly": slowly}, prefetch=1)
    server.wait_until(lambda: any(job.id == second and job.cancelled.is_set() for job in running.bot.running))
    go.set()
    third = server.add_job("slowly")
    server.wait_for(f"jobs/{first}/complete")
    server.wait_for(f"jobs/{third}/complete")
    assert begun == [third]


# --- In processes -----------------------------------------------------------------------------------------------------


def test_async_handlers_run_in_processes_too(server: FakeServer, run_bot: RunBot) -> None:
    kinds = ("slowly", "raises")
    jobs = {kind: server.add_job(kind) for kind in kinds}
    run_bot({kind: getattr(handlers, kind) for kind in kinds}, processes=1)
    assert server.wait_for(f"jobs/{jobs['slowly']}/complete")[0].body["result"] != os.getpid()
    assert "the disk is full" in server.wait_for(f"jobs/{jobs['raises']}/fail")[0].body["error"]


def test_the_loop_ends_with_the_bot(server: FakeServer) -> None:
    job = server.add_job("slowly")
    running = Running(Bot(server.url, "t", {"slowly": handlers.slowly}))
    server.wait_for(f"jobs/{job}/complete")
    running.stop()
    server.wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "jobsite-loop"])
