"""Bound how long the database works for one read: a search, a list, an export.

A thread cancels a statement that is over its time, as `psql` does at Ctrl-C. That works through a pooler, where
PostgreSQL's own `statement_timeout` would stay with a connection that others use next.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from django.conf import settings
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse

from jobsite.lib.errors import TooSlow

#: Seconds between two looks at the statements under way.
TICK_SECONDS = 0.2
#: Seconds that telling the database may take.
CANCEL_SECONDS = 2.0


class _Statement:
    """A statement under way, and until when it may be."""

    def __init__(self, raw: "psycopg.Connection[Any]", until: float) -> None:
        self.raw, self.until = raw, until
        self.cancelled = self.ended = False
        #: Held while it is cancelled, so that the connection's next statement is not.
        self.lock = threading.Lock()

    def cancel(self) -> None:
        with self.lock:
            if not self.ended:
                self.cancelled = True
                with suppress(psycopg.Error):
                    self.raw.cancel_safe(timeout=CANCEL_SECONDS)


class _Watch:
    """The statements under way in this process, and the thread that cancels the late ones."""

    def __init__(self) -> None:
        self._statements: set[_Statement] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, statement: _Statement) -> None:
        with self._changed:
            self._statements.add(statement)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="jobsite-reads", daemon=True)
                self._thread.start()
            self._changed.notify()

    def remove(self, statement: _Statement) -> None:
        with statement.lock:
            statement.ended = True
        with self._changed:
            self._statements.discard(statement)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._statements:
                    self._changed.wait()
                late = [one for one in self._statements if one.until <= time.monotonic() and not one.cancelled]
            for statement in late:
                statement.cancel()
            time.sleep(TICK_SECONDS)


_watch = _Watch()


@contextmanager
def bounded() -> Iterator[None]:
    """Cancel what the database does for this thread after `READ_SECONDS`, and raise TooSlow. 0: never."""
    seconds = settings.READ_SECONDS
    if not seconds:
        yield
        return
    until = time.monotonic() + seconds

    def watched(execute: Callable[..., Any], *args: Any) -> Any:
        # The last argument is the context.
        statement = _Statement(args[-1]["connection"].connection, until)
        _watch.add(statement)
        try:
            return execute(*args)
        except OperationalError:
            if not statement.cancelled:
                raise
            raise TooSlow(
                f"The database looked for {seconds} s and was stopped. Ask for less: choose a kind, a bot or a state, "
                "a shorter time, or a longer word to search for."
            ) from None
        finally:
            _watch.remove(statement)

    with connection.execute_wrapper(watched):
        yield


class ReadsMiddleware:
    """Bound the reads of the console and the API."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return self.get_response(request)
        with bounded():
            return self.get_response(request)
