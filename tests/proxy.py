"""A TCP proxy between the server and PostgreSQL that reads the protocol, and cuts a connection at a chosen message.

`cut(b"COMMIT")` waits for a message of a client that has these bytes. With `done=True` the message goes on, PostgreSQL
carries it out, and its answer is thrown away; with `done=False` PostgreSQL never sees it. Then both sides are closed.
`cut(b"COMMIT", after=b"INSERT")` is for the transaction that is meant, and not for another that comes before it.
"""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import quote

from django.db import connection

#: Seconds after which a test fails that waits for a cut.
PATIENCE = 30.0


@dataclass
class Cut:
    """One cut to be made. `made` is set when it has been. `sender`: who has sent what must come before."""

    pattern: bytes
    done: bool
    after: bytes = b""
    sender: "_Session | None" = None
    made: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> None:
        """Wait until it has been made. AssertionError when no message had the pattern."""
        assert self.made.wait(PATIENCE), f"no message had {self.pattern!r}"


class Proxy:
    """One listening socket, and for each client a connection to PostgreSQL."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._cuts: list[Cut] = []
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self) -> str:
        """The URL of the tests' database through this proxy."""
        params = connection.get_connection_params()
        who = quote(params.get("user") or "", safe="")
        who += ":" + quote(params["password"]) if params.get("password") else ""
        port = self._listening.getsockname()[1]
        return f"postgres://{who}@127.0.0.1:{port}/{quote(params['dbname'])}?sslmode=disable&gssencmode=disable"

    def cut(self, pattern: bytes, *, done: bool = True, after: bytes = b"") -> Cut:
        """Cut the connection of the next client that sends `pattern` in one message, and has sent `after` before."""
        cut = Cut(pattern, done, after)
        with self._lock:
            self._cuts.append(cut)
        return cut

    def cut_all(self) -> None:
        """Close every connection as it is now."""
        with self._lock:
            sockets, self._open = self._open, set()
        for one in sockets:
            _shut(one)

    def close(self) -> None:
        """Stop listening, and close every connection."""
        _shut(self._listening)
        self.cut_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = _connect()
            with self._lock:
                self._open |= {client, server}
            session = _Session(self, client, server)
            for side in (session.from_client, session.from_server):
                threading.Thread(target=side, daemon=True).start()

    def take_cut(self, message: bytes, sender: "_Session") -> Cut | None:
        """The cut that is to be made at this message, once."""
        with self._lock:
            for cut in self._cuts:
                if cut.pattern in message and (not cut.after or cut.sender is sender):
                    self._cuts.remove(cut)
                    return cut
                if cut.after and cut.after in message:
                    cut.sender = sender
        return None


class _Session:
    """One client's connection. After a cut that lets its message through, the answers are counted and dropped."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.proxy, self.client, self.server = proxy, client, server
        self.cut: Cut | None = None

    def from_client(self) -> None:
        with suppress(OSError):
            for message in _messages(self.client, startup=True):
                self.cut = self.cut or self.proxy.take_cut(message, self)
                if self.cut is not None and not self.cut.done:
                    break
                self.server.sendall(message)
        if self.cut is None or not self.cut.done:
            self._end()

    def from_server(self) -> None:
        with suppress(OSError):
            for message in _messages(self.server, startup=False):
                if self.cut is None:
                    self.client.sendall(message)
                elif message[:1] == b"Z":
                    # Ready for the next query: this one has been carried out.
                    break
        self._end()

    def _end(self) -> None:
        _shut(self.client)
        _shut(self.server)
        if self.cut is not None:
            self.cut.made.set()


def _messages(source: socket.socket, *, startup: bool) -> Iterator[bytes]:
    """The messages of one side, whole. The first of a client has no type."""
    while True:
        head = _exactly(source, 4 if startup else 5)
        (length,) = struct.unpack("!I", head[-4:])
        yield head + _exactly(source, length - 4)
        startup = False


def _exactly(source: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        chunk = source.recv(size - len(parts))
        if not chunk:
            raise ConnectionError
        parts += chunk
    return bytes(parts)


def _connect() -> socket.socket:
    params = connection.get_connection_params()
    host, port = str(params.get("host") or "localhost"), int(params.get("port") or 5432)
    if not host.startswith("/"):
        return socket.create_connection((host, port))
    server = socket.socket(socket.AF_UNIX)
    server.connect(f"{host}/.s.PGSQL.{port}")
    return server


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


@contextmanager
def proxied() -> Iterator[Proxy]:
    """A proxy, closed at the end."""
    proxy = Proxy()
    try:
        yield proxy
    finally:
        proxy.close()
