"""A relay between a server and its database, which falls silent as a network does: nothing comes, not even an end."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from django.db import connection


class Relay:
    """Passes on what comes, while it is not silent."""

    def __init__(self) -> None:
        self._speaks = threading.Event()
        self._speaks.set()
        self._sockets: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
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
        for one in [self._listening, *self._sockets]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = _database()
                self._sockets += [near, far]
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._speaks.wait()
                target.sendall(data)
        self._speaks.wait()
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


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
