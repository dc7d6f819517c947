"""Calls in threads, for an event loop."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import pytest

from jobsite.lib.threads import Threads


def run(most: int, use: Callable[[Threads], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        return await use(Threads(most, "test"))

    # In a thread of its own: that of the tests may have an event loop, the browser's.
    with ThreadPoolExecutor(1) as own:
        return own.submit(asyncio.run, main()).result()


def test_a_result_comes_back() -> None:
    assert run(2, lambda threads: threads.run(divmod, 17, 5)) == (3, 2)


@pytest.mark.parametrize(
    ("raised", "expected"), [(KeyError("x"), KeyError), (SystemExit(), RuntimeError), (StopIteration(), RuntimeError)]
)
def test_what_is_raised_comes_back(raised: BaseException, expected: type[Exception]) -> None:
    def fall() -> None:
        raise raised

    with pytest.raises(expected):
        run(2, lambda threads: threads.run(fall))


def test_no_more_threads_than_may_be_and_none_that_is_not_needed() -> None:
    meeting = threading.Barrier(3)

    def meet() -> str:
        # Three at a time, or none of them would end.
        meeting.wait()
        return threading.current_thread().name

    async def many(threads: Threads) -> list[str]:
        await threads.run(str)
        return await asyncio.gather(*[threads.run(meet) for _ in range(6)])

    assert set(run(3, many)) == {"test-1", "test-2", "test-3"}


def test_a_call_that_is_given_up_stops_no_other() -> None:
    go = threading.Event()

    async def give_up(threads: Threads) -> str:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await threads.run(go.wait)
        go.set()
        return await threads.run(str, 7)

    assert run(1, give_up) == "7"


def test_context_variables_of_the_caller_are_there_when_it_asks_for_them() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="none")

    async def use(threads: Threads) -> list[str]:
        variable.set("mine")
        return [await threads.run_in_context(variable.get), await threads.run(variable.get)]

    assert run(2, use) == ["mine", "none"]


def test_a_call_that_is_started_and_fails_stops_no_other() -> None:
    async def use(threads: Threads) -> str:
        threads.start(divmod, 1, 0)
        return await threads.run(str, 7)

    assert run(1, use) == "7"


def test_what_follows_a_call_is_done_in_its_thread_and_its_failure_stops_nothing() -> None:
    ended: list[str] = []

    def after() -> None:
        ended.append(threading.current_thread().name)
        raise ValueError

    async def main() -> list[Any]:
        threads = Threads(1, "test", after)
        return await asyncio.gather(threads.run(str, 7), threads.run(int, "x"), return_exceptions=True)

    with ThreadPoolExecutor(1) as own:
        result, error = own.submit(asyncio.run, main()).result()
    assert (result, type(error), ended) == ("7", ValueError, ["test-1"] * 2)
