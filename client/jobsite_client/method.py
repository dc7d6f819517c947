"""Make the methods of `Client` and `AsyncClient` from one definition: a function that returns the request."""

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

from .async_transport import AsyncTransport
from .pages import AsyncPages, Listing, Pages
from .request import Request, Steps
from .transport import Transport

P = ParamSpec("P")
T = TypeVar("T")


class call(Generic[P, T]):  # noqa: N801 - it is used as a decorator
    """A method that makes the call which the decorated function describes: by one request, or by several steps."""

    def __init__(self, describe: Callable[Concatenate[Any, P], Request[T] | Steps[T]]) -> None:
        self._describe = describe
        functools.update_wrapper(cast(Any, self), describe)

    @overload
    def __get__(self, client: None, owner: type) -> "call[P, T]": ...
    @overload
    def __get__(self, client: Transport, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncTransport, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, client: Any, owner: type) -> Any:
        return self if client is None else _bound(self._describe, client, client.run)


class listing(Generic[P, T]):  # noqa: N801 - it is used as a decorator
    """A method that iterates over what the decorated function describes, and gets page after page."""

    def __init__(self, describe: Callable[Concatenate[Any, P], Listing[T]]) -> None:
        self._describe = describe
        functools.update_wrapper(cast(Any, self), describe)

    @overload
    def __get__(self, client: None, owner: type) -> "listing[P, T]": ...
    @overload
    def __get__(self, client: Transport, owner: type) -> Callable[P, Pages[T]]: ...
    @overload
    def __get__(self, client: AsyncTransport, owner: type) -> Callable[P, AsyncPages[T]]: ...

    def __get__(self, client: Any, owner: type) -> Any:
        if client is None:
            return self
        kind: Any = Pages if isinstance(client, Transport) else AsyncPages
        return _bound(self._describe, client, lambda described: kind(client, described))


def _bound(describe: Callable[..., Any], client: object, run: Callable[[Any], Any]) -> Callable[..., Any]:
    @functools.wraps(describe)
    def method(*args: Any, **options: Any) -> Any:
        return run(describe(client, *args, **options))

    # Its signature has no `self`.
    method.__wrapped__ = functools.partial(describe, client)
    return method
