"""Run calls in threads for an event loop, at little cost for each call.

The standard library's executor takes several locks and wakes the loop once a call; with a bot's turn that is a third of
the server's work. Here nothing is locked, and the loop is woken once for all calls that have ended since.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Threads:
    """Up to `most` threads, started when they are needed. Used by one event loop.

    `after` is called in the thread after each call, for what belongs to the thread.
    """

    def __init__(self, most: int, name: str, after: Callable[[], None] = lambda: None) -> None:
        self._most, self._name, self._after = most, name, after
        self._queue: SimpleQueue[tuple[Context | None, Callable[..., Any], tuple[Any, ...], Any]] = SimpleQueue()
        #: Calls under way or queued, and threads. Both change on the event loop alone.
        self._calls, self._started = 0, 0
        #: Futures with what they came to, and whether a call has ended with it.
        self._results: deque[tuple[asyncio.Future[Any] | None, Any, BaseException | None, bool]] = deque()
        self._woken = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, call: Callable[..., T], *args: Any) -> T:
        """Return what `call` returns in a thread, or raise what it raises."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._put(None, call, args, future)
        return await future

    async def run_in_context(self, call: Callable[..., T], *args: Any) -> T:
        """Do so with the context variables of the caller."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._put(copy_context(), call, args, future)
        return await future

    def start(self, call: Callable[..., Any], *args: Any) -> None:
        """Call it in a thread. What it returns or raises is dropped."""
        self._put(None, call, args, None)

    def resolve(self, future: "asyncio.Future[Any]", result: Any, error: BaseException | None = None) -> None:
        """Give a future of the loop its result. May be called in any thread, after a call has been put into one."""
        self._results.append((future, result, error, False))
        self._wake_loop()

    def _put(self, context: Context | None, call: Callable[..., Any], args: tuple[Any, ...], future: Any) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._calls += 1
        self._queue.put((context, call, args, future))
        if self._calls > self._started < self._most:
            self._started += 1
            name = f"{self._name}-{self._started}"
            threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        while True:
            context, call, args, future = self._queue.get()
            result: Any = None
            error: BaseException | None = None
            try:
                result = call(*args) if context is None else context.run(call, *args)
            except Exception as raised:
                # A future takes any exception but this.
                error = RuntimeError("StopIteration") if isinstance(raised, StopIteration) else raised
            except BaseException as raised:
                error = RuntimeError(repr(raised))
            # The call was made: its result counts, whatever fails now.
            with suppress(Exception):
                self._after()
            self._results.append((future, result, error, True))
            # Nothing of this call is to live until the next.
            del context, call, args, future, result, error
            self._wake_loop()

    def _wake_loop(self) -> None:
        if not self._woken and self._loop is not None:
            self._woken = True
            # A loop that has ended: nobody waits any more.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._set_results)

    def _set_results(self) -> None:
        # Before the results are taken: a thread that ends a call from now on wakes the loop once more.
        self._woken = False
        while self._results:
            future, result, error, ended = self._results.popleft()
            self._calls -= ended
            if future is None or future.cancelled():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
