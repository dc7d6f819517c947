"""A relay between a server and its database, which falls silent as a network does: nothing comes, not even an end."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from django.db import connection


class Relay:
    """Passes on what comes, while it is not silent. `connect` leads to the far side: the tests' database, by itself."""

    def __init__(self, connect: Callable[[], socket.socket] | None = None) -> None:
        self._connect = connect or _database
        self._speaks = threading.Event()
        self._speaks.set()
        self._sockets: set[socket.socket] = set()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, **options: str) -> str:
        """The URL of the tests' database by way of the relay."""
        params = connection.get_connection_params()
        who = quote(params.get("user") or "") + (f":{quote(params['password'])}" if params.get("password") else "")
        given = "&".join(f"{name}={value}" for name, value in options.items())
        return f"postgres://{who}@127.0.0.1:{self.port}/{quote(params['dbname'])}?{given}"

    def fall_silent(self) -> None:
        """From now on connections are accepted, bytes acknowledged, and nothing is passed on."""
        self._speaks.clear()

    def speak(self) -> None:
        """Pass on what came, and what comes."""
        self._speaks.set()

    def close(self) -> None:
        self.speak()
        for one in [self._listening, *list(self._sockets)]:
            shut(one)

    def passed(self, data: bytes, *, answer: bool) -> bytes:
        """What is passed on of `data`, which may be of an answer. After less than all of it the connection is cut."""
        return data

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                threading.Thread(target=self._relay, args=(near,), daemon=True).start()

    def _relay(self, near: socket.socket) -> None:
        try:
            far = self._connect()
        except OSError:
            shut(near)
            return
        self._sockets |= {near, far}
        back = threading.Thread(target=self._pass_on, args=(far, near), kwargs={"answer": True}, daemon=True)
        back.start()
        self._pass_on(near, far, answer=False)
        back.join()
        self._sockets -= {near, far}
        for one in (near, far):
            one.close()

    def _pass_on(self, source: socket.socket, target: socket.socket, *, answer: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._speaks.wait()
                passed = self.passed(data, answer=answer)
                if passed != data:
                    target.sendall(passed)
                    for one in (source, target):
                        one.shutdown(socket.SHUT_RDWR)
                    return
                target.sendall(data)
        self._speaks.wait()
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def shut(one: socket.socket) -> None:
    """Close it, whatever reads from it."""
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


def _database() -> socket.socket:
    params = connection.get_connection_params()
    host, port = params.get("host") or "localhost", params.get("port") or 5432
    if not host.startswith("/"):
        return socket.create_connection((host, int(port)))
    far = socket.socket(socket.AF_UNIX)
    far.connect(str(Path(host) / f".s.PGSQL.{port}"))
    return far


@contextlib.contextmanager
def relay() -> Iterator[Relay]:
    """A relay, for the time of a test."""
    passing = Relay()
    try:
        yield passing
    finally:
        passing.close()
