"""What wakes a call that waits for jobs: its thread, or its task on an event loop."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Protocol


class Woken(Protocol):
    """What wakes a call that waits."""

    #: Its client has hung up.
    gone: bool

    def is_set(self) -> bool: ...
    def set(self) -> None: ...
    def clear(self) -> None: ...
    async def wait(self, seconds: float) -> bool:
        """Wait until it is set. False: it was not in this time."""

    def close(self) -> None:
        """The call waits no longer."""


class WokenThread(threading.Event):
    """Wakes a thread, which does nothing else in the meantime. It does not see that its client hangs up."""

    gone = False

    async def wait(self, seconds: float) -> bool:  # type: ignore[override]
        return super().wait(max(0.0, seconds))

    def close(self) -> None:
        pass


class WokenTask:
    """Wakes a task of an event loop, and watches the client. `until_gone` returns when that has hung up."""

    def __init__(self, until_gone: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.gone = False
        self._set = False
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Future[None] | None = None
        self._watch = self._loop.create_task(self._watch_client(until_gone))

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True
        self._loop.call_soon_threadsafe(self._wake)

    def clear(self) -> None:
        self._set = False

    async def wait(self, seconds: float) -> bool:
        if not self._set:
            self._waiting = self._loop.create_future()
            timer = self._loop.call_later(max(0.0, seconds), self._wake)
            await self._waiting
            timer.cancel()
        return self._set

    def close(self) -> None:
        self._watch.cancel()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def _watch_client(self, until_gone: Callable[[], Coroutine[Any, Any, None]]) -> None:
        await until_gone()
        self.gone = True
        self.set()
