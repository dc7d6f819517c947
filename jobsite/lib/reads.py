"""Bound how long the database works for one read: a search, a list, an export."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse
from psycopg.errors import QueryCanceled

from jobsite.lib.connections import limits
from jobsite.lib.errors import TooSlow


@contextmanager
def bounded() -> Iterator[None]:
    """Stop what the database does for this thread after `READ_SECONDS`, and raise TooSlow. 0: never."""
    seconds = settings.READ_SECONDS
    if not seconds:
        yield
        return

    with limits.read_within(seconds), connection.execute_wrapper(named):
        yield


def named(execute: Callable[..., Any], *args: Any) -> Any:
    """Run a statement of a read, and raise TooSlow where it was stopped for that. For `execute_wrapper`."""
    try:
        return execute(*args)
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled) or not limits.read_is_over():
            raise
        raise TooSlow(
            f"The database looked for {settings.READ_SECONDS} s and was stopped. Ask for less: choose a kind, a bot or "
            "a state, a shorter time, or a longer word to search for."
        ) from None


class ReadsMiddleware:
    """Bound the reads of the console and the API."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return self.get_response(request)
        with bounded():
            return self.get_response(request)
