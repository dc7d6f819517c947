"""Write HTTP to a server byte by byte, as no client library does."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

#: Seconds after which something is wrong. A server has 30 after SIGTERM, and then is killed by its first process.
PATIENCE = 60.0


class Said(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def request(method: str, path: str, body: bytes = b"", **headers: Any) -> bytes:
    """The bytes of a request. An underscore in a header's name is a hyphen."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as there:
        yield there


def answer(there: socket.socket) -> Said | None:
    """What the server answers. None: it closed without an answer."""
    got = b""
    while b"\r\n\r\n" not in got:
        if not (part := there.recv(65536)):
            return None
        got += part
    head, _, body = got.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)) and (part := there.recv(65536)):
        body += part
    return Said(int(first.split()[1]), headers, body)


def cut_off(port: int, sent: bytes) -> Said | None:
    """Send this and no more, as far as the server can see, and return how it takes that."""
    with connected(port) as there:
        there.sendall(sent)
        there.shutdown(socket.SHUT_WR)
        return answer(there)


def ask(port: int, sent: bytes) -> Said:
    """Send a whole request and return the answer."""
    with connected(port) as there:
        there.sendall(sent)
        said = answer(there)
    assert said is not None
    return said
