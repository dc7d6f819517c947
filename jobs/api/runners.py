"""Where a turn's steps are executed: in the thread that answers it, or on an event loop, which goes on in between.

A turn is written once, with `await` where it asks the database or waits for jobs. In a thread these calls do their
work before they return, so nothing there ever waits, and `in_thread` needs no event loop.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from jobs import lifecycle
from jobs.lifecycle import TurnRequest, TurnRow
from jobs.turns.woken import Woken, WokenTask, WokenThread
from jobsite.lib.threads import Threads

T = TypeVar("T")


class Runner(Protocol):
    """Executes what a turn asks for."""

    async def take(self, request: TurnRequest) -> TurnRow:
        """Take a turn, as `lifecycle.take_turn` does."""

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call what asks the database."""

    def woken(self) -> Woken:
        """Return what wakes the turn while it waits for jobs."""


class InThread:
    """Executes it in the thread of the call. A client that hangs up is not seen."""

    async def take(self, request: TurnRequest) -> TurnRow:
        return lifecycle.take_turn(request)

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        return function(*args)

    def woken(self) -> Woken:
        return WokenThread()


class OnLoop:
    """Executes it for a task of an event loop. `until_gone` returns when the client has hung up."""

    def __init__(self, threads: Threads, until_gone: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._threads, self._until_gone = threads, until_gone

    async def take(self, request: TurnRequest) -> TurnRow:
        return await lifecycle.take_turn_on_loop(request, self._threads)

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        return await self._threads.run_in_context(function, *args)

    def woken(self) -> Woken:
        return WokenTask(self._until_gone)


def in_thread(turn: Coroutine[Any, Any, T]) -> T:
    """Execute a turn whose runner is `InThread`, and return what it returns."""
    try:
        turn.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    turn.close()
    raise RuntimeError("a turn in a thread waited for an event loop")
