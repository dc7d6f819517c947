"""Bind what every log line of a request, sweep or command says.

A request carries one dict through its thread, so that what is learned on the way (which bot, which job) is in every
line after; a line that nobody writes costs nothing. Never bind a token, a body, or anything else that came in unread.
"""

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    pass


T = TypeVar("T")
_bound: ContextVar[dict[str, Any] | None] = ContextVar("jobsite_trail", default=None)


class begin:  # noqa: N801  called like a function
    """A request, sweep or command: what it said so far, and what is bound within, is in each of its lines."""

    __slots__ = ("_said", "_token")

    def __init__(self, **said: Any) -> None:
        self._said = said

    def __enter__(self) -> dict[str, Any]:
        outer = _bound.get()
        if outer:
            self._said = {**outer, **self._said}
        self._token = _bound.set(self._said)
        return self._said

    def __exit__(self, *failed: object) -> None:
        _bound.reset(self._token)


def bind(**said: Any) -> None:
    """From here on the lines of this request say this, too. Outside of one it does nothing."""
    mine = _bound.get()
    if mine is not None:
        mine.update(said)


def bound() -> Mapping[str, Any]:
    """What the lines say now. Names with a leading underscore are for ourselves and stand in no line."""
    return _bound.get() or {}


def waited(wait: Callable[[], T]) -> T:
    """Do what waits for jobs on purpose: the time it takes does not make a request slow."""
    began = time.perf_counter()
    try:
        return wait()
    finally:
        bind(_waited=time.perf_counter() - began)
