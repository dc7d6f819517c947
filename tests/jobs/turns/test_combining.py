"""Calls that come at the same time are made as one, and nobody is worse off for it."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from jobs.turns.combining import Combiner, RetryAlone
from jobsite.lib.threads import Threads
from tests.race import PATIENCE, until


class Made:
    """What is called: it keeps what it was given, and the first call lasts until the test lets it go."""

    def __init__(self, fails: type[BaseException] | None = None) -> None:
        self.calls: list[list[str]] = []
        self.first_is_made, self.go_on = threading.Event(), threading.Event()
        self.fails = fails

    def __call__(self, items: Sequence[str]) -> list[str]:
        self.calls.append(list(items))
        if len(self.calls) == 1:
            self.first_is_made.set()
            assert self.go_on.wait(PATIENCE)
        if self.fails and len(items) > 1:
            raise self.fails("together")
        return [item.upper() for item in items]


def during_a_call(made: Made, combiner: Combiner[str, str], others: Sequence[tuple[str, str]]) -> list["Future[str]"]:
    """One call is under way; these others, `(caller, item)`, come in this order; then the first ends."""
    with ThreadPoolExecutor(max_workers=20) as pool:
        futures = [pool.submit(combiner.call, "group", "first", "first")]
        assert made.first_is_made.wait(PATIENCE)
        for n, (caller, item) in enumerate(others, 1):
            futures.append(pool.submit(combiner.call, "group", caller, item))
            until(lambda n=n: queued(combiner, n))  # type: ignore[misc]
        made.go_on.set()
    return futures


def queued(combiner: Combiner[str, str], n: int) -> bool:
    return len(combiner._queues["group"]) == n


def test_a_call_that_comes_alone_is_made_at_once() -> None:
    made = Made()
    made.go_on.set()
    assert Combiner(made, max_batch=8, max_wait=PATIENCE).call("group", "ada", "a") == "A"
    assert made.calls == [["a"]]


def test_calls_that_come_during_one_are_combined_and_each_gets_its_own_result() -> None:
    made = Made()
    combiner = Combiner(made, max_batch=8, max_wait=PATIENCE)
    futures = during_a_call(made, combiner, [("ada", "a"), ("bob", "b"), ("cyd", "c")])
    assert made.calls == [["first"], ["a", "b", "c"]]
    assert [future.result() for future in futures] == ["FIRST", "A", "B", "C"]
    assert combiner._queues == {}


def test_a_call_carries_only_so_many_and_the_rest_is_the_next() -> None:
    made = Made()
    during_a_call(made, Combiner(made, max_batch=2, max_wait=PATIENCE), [("ada", "a"), ("bob", "b"), ("cyd", "c")])
    assert made.calls == [["first"], ["a", "b"], ["c"]]


def test_two_of_the_same_are_never_in_one_call() -> None:
    made = Made()
    during_a_call(made, Combiner(made, max_batch=8, max_wait=PATIENCE), [("ada", "1"), ("ada", "2"), ("bob", "b")])
    assert made.calls == [["first"], ["1", "b"], ["2"]]


def test_calls_of_another_group_are_not_queued_behind_it() -> None:
    made = Made()
    combiner = Combiner(made, max_batch=8, max_wait=PATIENCE)
    with ThreadPoolExecutor(max_workers=2) as pool:
        first = pool.submit(combiner.call, "group", "first", "first")
        assert made.first_is_made.wait(PATIENCE)
        assert combiner.call("other group", "ada", "a") == "A"
        made.go_on.set()
        assert first.result(PATIENCE) == "FIRST"


def test_when_nothing_was_done_for_anybody_each_goes_alone() -> None:
    made = Made(fails=RetryAlone)
    futures = during_a_call(made, Combiner(made, max_batch=8, max_wait=PATIENCE), [("ada", "a"), ("bob", "b")])
    assert [future.result() for future in futures] == ["FIRST", "A", "B"]
    assert made.calls[:2] == [["first"], ["a", "b"]]
    assert sorted(made.calls[2:]) == [["a"], ["b"]]


def test_what_goes_wrong_goes_wrong_for_the_whole_batch_and_for_nobody_else() -> None:
    made = Made(fails=ValueError)
    first, *others = during_a_call(made, Combiner(made, max_batch=8, max_wait=PATIENCE), [("ada", "a"), ("bob", "b")])
    assert first.result() == "FIRST"
    for future in others:
        with pytest.raises(ValueError, match="together"):
            future.result()


def test_a_call_that_is_queued_too_long_goes_alone() -> None:
    made = Made()
    combiner = Combiner(made, max_batch=8, max_wait=0.01)
    with ThreadPoolExecutor(max_workers=2) as pool:
        first = pool.submit(combiner.call, "group", "first", "first")
        assert made.first_is_made.wait(PATIENCE)
        assert combiner.call("group", "ada", "a") == "A"
        assert not first.done()
        made.go_on.set()
        assert first.result(PATIENCE) == "FIRST"


# --- Tasks of an event loop ---------------------------------------------------------------------------------------


def on_loop(use: Callable[[Threads], Awaitable[list[str]]]) -> list[str]:
    """Run it on an event loop of a thread of its own: that of the tests may have one, the browser's."""

    async def main() -> list[str]:
        return await asyncio.wait_for(use(Threads(4, "test")), PATIENCE)

    with ThreadPoolExecutor(1) as own:
        return own.submit(asyncio.run, main()).result()


def calls_of_tasks(made: Made, combiner: Combiner[str, str], others: Sequence[str]) -> list[str]:
    """The first call is under way when these others come. The results of all, or their errors as text."""

    async def use(threads: Threads) -> list[str]:
        tasks = [asyncio.create_task(combiner.call_on_loop("group", "first", "first", threads))]
        await threads.run(made.first_is_made.wait, PATIENCE)
        tasks += [asyncio.create_task(combiner.call_on_loop("group", item, item, threads)) for item in others]
        await threads.run(until, lambda: queued(combiner, len(others)))
        made.go_on.set()
        return [str(result) for result in await asyncio.gather(*tasks, return_exceptions=True)]

    return on_loop(use)


def test_the_call_of_a_task_that_comes_alone_is_made_at_once() -> None:
    made = Made()
    made.go_on.set()
    combiner = Combiner(made, max_batch=8, max_wait=PATIENCE)

    async def use(threads: Threads) -> list[str]:
        return [await combiner.call_on_loop("group", "ada", "a", threads)]

    assert on_loop(use) == ["A"]
    assert (made.calls, combiner._queues) == ([["a"]], {})


def test_calls_of_tasks_are_combined_and_the_rest_is_the_next() -> None:
    made = Made()
    combiner = Combiner(made, max_batch=2, max_wait=PATIENCE)
    assert calls_of_tasks(made, combiner, ["a", "b", "c"]) == ["FIRST", "A", "B", "C"]
    assert made.calls == [["first"], ["a", "b"], ["c"]]
    assert combiner._queues == {}


def test_when_nothing_was_done_for_any_task_each_goes_alone() -> None:
    made = Made(fails=RetryAlone)
    assert calls_of_tasks(made, Combiner(made, max_batch=8, max_wait=PATIENCE), ["a", "b"]) == ["FIRST", "A", "B"]
    assert sorted(made.calls[2:]) == [["a"], ["b"]]


def test_what_goes_wrong_for_tasks_goes_wrong_for_their_batch_alone() -> None:
    made = Made(fails=ValueError)
    results = calls_of_tasks(made, Combiner(made, max_batch=8, max_wait=PATIENCE), ["a", "b"])
    assert results == ["FIRST", "together", "together"]


def test_the_call_of_a_task_that_is_queued_too_long_goes_alone() -> None:
    made = Made()
    combiner = Combiner(made, max_batch=8, max_wait=0.01)

    async def use(threads: Threads) -> list[str]:
        first = asyncio.create_task(combiner.call_on_loop("group", "first", "first", threads))
        await threads.run(made.first_is_made.wait, PATIENCE)
        alone = await combiner.call_on_loop("group", "ada", "a", threads)
        assert not first.done()
        made.go_on.set()
        return [await first, alone]

    assert on_loop(use) == ["FIRST", "A"]


@pytest.mark.parametrize("thread_first", [True, False])
def test_threads_and_tasks_are_combined_and_lead_each_other(thread_first: bool) -> None:
    made = Made()
    combiner = Combiner(made, max_batch=2, max_wait=PATIENCE)

    async def use(threads: Threads) -> list[str]:
        def by_thread(item: str) -> "asyncio.Task[str]":
            return asyncio.create_task(threads.run(combiner.call, "group", item, item))

        def by_task(item: str) -> "asyncio.Task[str]":
            return asyncio.create_task(combiner.call_on_loop("group", item, item, threads))

        one, other = (by_thread, by_task) if thread_first else (by_task, by_thread)
        calls = [one("first")]
        await threads.run(made.first_is_made.wait, PATIENCE)
        for n, (call, item) in enumerate([(other, "a"), (one, "b"), (one, "c"), (other, "d")], 1):
            calls.append(call(item))
            await threads.run(until, lambda n=n: queued(combiner, n))
        made.go_on.set()
        return list(await asyncio.gather(*calls))

    assert on_loop(use) == ["FIRST", "A", "B", "C", "D"]
    assert made.calls == [["first"], ["a", "b"], ["c", "d"]]
