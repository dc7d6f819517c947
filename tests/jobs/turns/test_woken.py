"""A task that waits for jobs is woken by any thread, when its time is over, and when its client hangs up."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from jobs.api.runners import in_thread
from jobs.turns.woken import WokenTask, WokenThread
from tests.race import PATIENCE


def on_loop(use: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await asyncio.wait_for(use(), PATIENCE)

    with ThreadPoolExecutor(1) as own:
        own.submit(asyncio.run, main()).result()


async def stays() -> None:
    await asyncio.Event().wait()


def test_a_thread_wakes_it() -> None:
    async def use() -> None:
        woken = WokenTask(stays)
        asyncio.get_running_loop().run_in_executor(None, woken.set)
        assert await woken.wait(PATIENCE)
        assert (woken.is_set(), woken.gone) == (True, False)
        woken.clear()
        assert not woken.is_set()
        woken.close()

    on_loop(use)


def test_what_was_set_before_is_not_waited_for() -> None:
    async def use() -> None:
        woken = WokenTask(stays)
        woken.set()
        assert await woken.wait(PATIENCE)
        woken.close()

    on_loop(use)


def test_its_time_ends() -> None:
    async def use() -> None:
        woken = WokenTask(stays)
        assert not await woken.wait(0.001)
        assert not await woken.wait(-1)
        woken.close()

    on_loop(use)


def test_a_client_that_hangs_up_wakes_it() -> None:
    async def use() -> None:
        gone = asyncio.Event()

        async def until_gone() -> None:
            await gone.wait()

        woken = WokenTask(until_gone)
        asyncio.get_running_loop().call_soon(gone.set)
        assert await woken.wait(PATIENCE)
        assert woken.gone
        woken.close()

    on_loop(use)


def test_a_thread_waits_for_its_time_and_no_longer() -> None:
    assert not in_thread(WokenThread().wait(0.001))
