"""One request to the API: what is sent, how often it may be sent, and how its answer is read. Pure."""

import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from .messages import moments_as_text
from .reading import reader
from .wire import encode

T = TypeVar("T")
# Bytes of one chunk of a body that is streamed.
CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """A good answer: its decoded JSON, and the seconds its `Retry-After` header asks for, if it has one."""

    body: Any
    retry_after: float | None


@dataclass(frozen=True, slots=True)
class Request(Generic[T]):
    """A call of the API; `path` is relative to `/api/v1/`. `Client.run` sends it and returns what `read` makes of it.

    With `repeatable` False the call is only tried again when the server certainly did not carry it out. `timeout` is of
    one try, `retry_for` of all tries together, in seconds; None: the client's own. `wait`: seconds that the server
    holds the call open.
    """

    method: str
    path: str
    read: Callable[[Reply], T]
    body: object = None
    params: Mapping[str, Any] = field(default_factory=dict)
    # JSON objects to send as NDJSON in place of a body.
    lines: Iterable[Mapping[str, Any]] | None = None
    repeatable: bool = True
    timeout: float | None = None
    retry_for: float | None = None
    wait: float = 0.0

    def content(self) -> bytes | None:
        """The body as sent. Raises ValueError if it cannot be sent as JSON."""
        return None if self.body is None else encode(self.body)

    def headers(self) -> dict[str, str]:
        """What the server needs to read the body."""
        if self.lines is not None:
            return {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        return {} if self.body is None else {"Content-Type": "application/json"}


# A call that needs several requests yields them, one by one, and gets their answers. A number is a wait in seconds.
Steps = Generator[Request[Any] | float, Any, T]


def get(answer: type[T], path: str, params: Mapping[str, Any], **policy: Any) -> Request[T]:
    """A request that reads."""
    return Request("GET", path, answer_as(answer), params=params, **policy)


def post(answer: type[T], path: str, body: Mapping[str, Any], **policy: Any) -> Request[T]:
    """A request that changes something."""
    return Request("POST", path, answer_as(answer), body=body, **policy)


def answer_as(answer: type[T]) -> Callable[[Reply], T]:
    """What reads an answer of this type."""
    read = reader(answer)
    return lambda reply: read(reply.body)


def at(*parts: object) -> str:
    """A path of these parts, each a name or an id."""
    return "/".join(quote(str(part), safe="") for part in parts)


def compressed(lines: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """NDJSON as gzip, in chunks. Without its end, after an error in a line, the server enqueues nothing."""
    packer = zlib.compressobj(level=6, wbits=31)
    waiting = bytearray()
    for line in lines:
        waiting += packer.compress(encode(moments_as_text(line)) + b"\n")
        if len(waiting) >= CHUNK:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting) + packer.flush()
