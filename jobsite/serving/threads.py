"""Run calls in threads for an event loop, at little cost for each call.

The standard library's executor takes several locks and wakes the loop once a call; with a bot's turn that is a third of
the server's work. Here nothing is locked, and the loop is woken once for all calls that have ended since.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Threads:
    """Up to `most` threads, started when they are needed. Used by one event loop."""

    def __init__(self, most: int, name: str) -> None:
        self._most, self._name = most, name
        self._queue: SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...], asyncio.Future[Any]]] = SimpleQueue()
        #: Calls under way or queued, and threads. Both change on the event loop alone.
        self._calls, self._started = 0, 0
        self._ended: deque[tuple[asyncio.Future[Any], Any, Exception | None]] = deque()
        self._woken = False

    async def run(self, call: Callable[..., T], *args: Any) -> T:
        """Return what `call` returns in a thread, or raise what it raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._calls += 1
        self._queue.put((call, args, future))
        if self._calls > self._started < self._most:
            self._started += 1
            name = f"{self._name}-{self._started}"
            threading.Thread(target=self._work, args=(loop,), name=name, daemon=True).start()
        return await future

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            call, args, future = self._queue.get()
            result: Any = None
            error: Exception | None = None
            try:
                result = call(*args)
            except Exception as raised:
                # A future takes any exception but this.
                error = RuntimeError("StopIteration") if isinstance(raised, StopIteration) else raised
            except BaseException as raised:
                error = RuntimeError(repr(raised))
            self._ended.append((future, result, error))
            # Nothing of this call is to live until the next.
            del call, args, future, result, error
            if not self._woken:
                self._woken = True
                loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        # Before the results are taken: a thread that ends a call from now on wakes the loop once more.
        self._woken = False
        while self._ended:
            future, result, error = self._ended.popleft()
            self._calls -= 1
            if future.cancelled():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
