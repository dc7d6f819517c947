"""Bind the fields that every log line of a request, sweep or command has.

A request carries one dict through its thread: what is bound on the way (which bot, which job) is in every later line,
and a line that is not written costs nothing. Never bind a token, a body, or other input that was not checked.

structlog's own context variables do the same with one variable for each field. They cost three to eight times as much
for each request, so structlog gets our dict by `add_context`, a processor.
"""

import time
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any

_bound: ContextVar[dict[str, Any] | None] = ContextVar("jobsite_log_context", default=None)


class begin:  # noqa: N801  called like a function
    """Begin the context of a request, sweep or command: its lines have these fields, and what is bound within."""

    __slots__ = ("_fields", "_token")

    def __init__(self, **fields: Any) -> None:
        self._fields = fields

    def __enter__(self) -> dict[str, Any]:
        outer = _bound.get()
        if outer:
            self._fields = {**outer, **self._fields}
        self._token = _bound.set(self._fields)
        return self._fields

    def __exit__(self, *error: object) -> None:
        _bound.reset(self._token)


def bind(**fields: Any) -> None:
    """Add these fields to all later lines of this request. Outside of one, do nothing."""
    context = _bound.get()
    if context is not None:
        context.update(fields)


def bound() -> Mapping[str, Any]:
    """Return the fields bound now. Names with a leading underscore are for our own use and are in no line."""
    return _bound.get() or {}


def add_context(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the bound fields to a line, as a processor of structlog. The line's own fields go first."""
    return {**bound(), **event}


class waiting:  # noqa: N801  called like a function
    """Leave the time of this block, a long poll's wait for jobs, out of the request's."""

    __slots__ = ("_began",)

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        bind(_waited=time.perf_counter() - self._began)
