"""Whether a server that has not answered for a while is slow or silent.

TCP notices a peer that no longer acknowledges. It does not notice a server whose machine acknowledges and never
answers: frozen processes, a proxy that stopped. So a caller that waits for long asks the server for another connection.
If it answers that, the statement is only slow, and may take as long as it likes.
"""

import threading
import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
from psycopg.errors import ConnectionTimeout

T = TypeVar("T")

#: Seconds without an answer after which the server is asked for another connection.
DOUBT_AFTER = 3.0
#: Seconds in which it must answer that.
ANSWER_WITHIN = 4


class _Inquiry(psycopg.Connection[Any]):
    """A connection whose statements must be answered within `ANSWER_WITHIN`."""

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        return super().wait(_limited(gen, time.monotonic() + ANSWER_WITHIN), *args, **kwargs)


def _limited(gen: Generator[Any, Any, T], deadline: float) -> Generator[Any, Any, T]:
    try:
        state = next(gen)
        while True:
            ready = yield state
            if not ready and time.monotonic() > deadline:
                raise ConnectionTimeout("no answer")
            state = gen.send(ready)
    except StopIteration as end:
        value: T = end.value
        return value


class Server:
    """One server as this process knows it. Only one thread asks it at a time; the others use the answer."""

    def __init__(self, params: dict[str, Any]) -> None:
        self._params = params | {"connect_timeout": ANSWER_WITHIN}
        self._lock = threading.Lock()
        self._asked = self._known = 0.0
        self._silent = False

    def is_silent(self, since: float) -> bool:
        """Whether it does not answer. `since`: from when on the caller has waited, by `time.monotonic`."""
        doubted = time.monotonic()
        with self._lock:
            # What another has just asked counts for all who wait since before.
            if self._asked < since or self._known < doubted - DOUBT_AFTER:
                self._asked = time.monotonic()
                self._silent = not self._answers()
                self._known = time.monotonic()
            return self._silent

    def _answers(self) -> bool:
        try:
            with _Inquiry.connect(**self._params) as asking:
                # Through a pooler the connection is the pooler's, and only a statement reaches the server.
                asking.execute("SELECT")
        except ConnectionTimeout:
            return False
        except psycopg.Error:
            # An answer, too: it has no more connections, or is starting.
            return True
        return True


_servers: dict[tuple[Any, ...], Server] = {}


def server(params: dict[str, Any]) -> Server:
    """The server at the address of these parameters."""
    address = tuple(params.get(name) for name in ("host", "hostaddr", "port", "dbname", "user"))
    return _servers.setdefault(address, Server(params))
