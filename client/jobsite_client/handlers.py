"""Handlers: the functions that users write, how they are called, and what type of payload they ask for."""

import functools
import inspect
import traceback
from collections.abc import Callable
from types import CoroutineType, TracebackType
from typing import Any, get_type_hints

from .errors import GiveUp, HandlerFailed
from .job import Job
from .payloads import Reader, read_payload, reader

# Takes the job and, where it has a second parameter, the payload. `async def` too.
Function = Callable[..., Any]

# Frames of these are not the user's.
_OURS = (__package__, "concurrent.futures", "asyncio")


class Handler:
    """One handler. `timeout`: how long it may run, in seconds; 0: as long as it likes.

    A function of one parameter gets the job. The second one, if it has no default, gets the payload, as the type that
    its annotation names.
    """

    def __init__(self, function: Function, timeout: float = 0.0) -> None:
        if not callable(function):
            raise TypeError(f"A handler is a function, not {function!r}.")
        if timeout < 0:
            raise ValueError("timeout has seconds, not less than zero.")
        self.function = function
        self.timeout = timeout
        plain = _function_inside(function)
        self.is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(plain)
        self._reader = _payload_reader(function, plain)

    def call(self, job: Job) -> Any:
        """What the function returns: of an async one, its coroutine. Raises `PayloadError` if the payload misfits."""
        read = self._reader
        value = self.function(job) if read is None else self.function(job, read_payload(read, job.payload))
        if isinstance(value, CoroutineType) and not self.is_async:
            value.close()
            raise GiveUp("The handler returned a coroutine. Only one that is an `async def` itself is awaited.")
        return value

    async def run(self, job: Job) -> Any:
        """The same of an async one, with its result awaited."""
        try:
            return await self.call(job)
        except (SystemExit, KeyboardInterrupt) as error:
            # They would end the loop.
            raise HandlerFailed(trace(error)) from None


def trace(error: BaseException) -> str:
    """The traceback of what a handler raised, without this library's own frames before it."""
    inner: TracebackType | None = error.__traceback__
    while inner is not None and inner.tb_frame.f_globals.get("__name__", "").startswith(_OURS):
        inner = inner.tb_next
    return "".join(traceback.format_exception(type(error), error, inner))


def _function_inside(function: Function) -> Any:
    """The function of a partial, of an object that can be called, or under a decorator."""
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function) and not inspect.isclass(function):
        function = type(function).__call__
    return inspect.unwrap(function)


def _payload_reader(function: Function, plain: Any) -> Reader | None:
    """What reads the payload for the second parameter. None: there is none."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:
        # Of a function in C.
        return None
    by_place = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(by_place) < 2 or by_place[1].default is not inspect.Parameter.empty:
        return None
    annotation = by_place[1].annotation
    if annotation is inspect.Parameter.empty:
        return reader(Any)
    # This one alone: the others may name what is imported for type checkers only.
    holder = type("holder", (), {"__annotations__": {"payload": annotation}})
    try:
        hint = get_type_hints(holder, globalns=getattr(plain, "__globals__", {}), include_extras=True)["payload"]
    except NameError as error:
        raise TypeError(f"The type of the handler's payload is not known where it is defined: {error}.") from None
    return reader(hint)
