"""Call the WSGI application in a thread, and send what it answers from the event loop."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from math import inf
from typing import Any, NamedTuple
from wsgiref.types import WSGIApplication

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

#: Streamed answers up to this size are put together in the thread.
SMALL_BYTES = 1024 * 1024
#: Seconds that a client may leave the next part of a streamed answer unread.
UNREAD_SECONDS = 60.0


class Response(NamedTuple):
    """What the application answered, in one piece."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @classmethod
    def from_wsgi(cls, line: str, headers: list[tuple[str, str]], body: bytes) -> "Response":
        """Make one of a status line and headers as WSGI has them."""
        return cls(int(line[:3]), _encoded(headers), body)


@lru_cache(maxsize=1000)
def _encoded_name(name: str) -> bytes:
    return name.lower().encode("latin-1")


def _encoded(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(_encoded_name(name), value.encode("latin-1")) for name, value in headers]


async def until_gone(receive: Receive) -> None:
    """Return when the client has hung up. For a request whose body was received."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Channel:
    """The way to one client. A thread streams an answer through it, no faster than the client reads."""

    def __init__(self, sending: Send, receive: Receive) -> None:
        self._sending, self._receive = sending, receive
        self._loop = asyncio.get_running_loop()
        self._watch: asyncio.Task[None] | None = None
        self._gone = False

    async def send(self, answer: Response) -> None:
        """Send an answer in one piece."""
        await self._begin(answer.status, answer.headers)
        await self._sending({"type": "http.response.body", "body": answer.body})

    def stream(self, status: int, headers: list[tuple[bytes, bytes]], parts: Iterable[bytes]) -> None:
        """Send `parts` as they are made, until the client is gone or leaves one unread. Runs in a thread."""
        asyncio.run_coroutine_threadsafe(self._begin(status, headers, watch=True), self._loop).result()
        with suppress(TimeoutError):
            for part in parts:
                if self._gone:
                    break
                asyncio.run_coroutine_threadsafe(self._part(part), self._loop).result()

    async def end(self) -> None:
        """End a streamed answer."""
        if self._watch is not None:
            self._watch.cancel()
        await self._sending({"type": "http.response.body", "body": b""})

    async def _begin(self, status: int, headers: list[tuple[bytes, bytes]], *, watch: bool = False) -> None:
        await self._sending({"type": "http.response.start", "status": status, "headers": headers})
        if watch:
            self._watch = self._loop.create_task(self._until_gone())

    async def _until_gone(self) -> None:
        await until_gone(self._receive)
        self._gone = True

    async def _part(self, part: bytes) -> None:
        async with asyncio.timeout(UNREAD_SECONDS):
            await self._sending({"type": "http.response.body", "body": part, "more_body": True})


def answer_of(application: WSGIApplication, environ: dict[str, Any], channel: Channel) -> Response | None:
    """Call the application, in a thread. None: the answer was long, and has gone through the channel.

    One thread does all of a request: the connection to the database is the thread's.
    """
    status, headers = 500, list[tuple[str, str]]()

    def start_response(line: str, given: list[tuple[str, str]], *failed: Any) -> Any:
        nonlocal status, headers
        status, headers = int(line[:3]), given

    body = application(environ, start_response)
    try:
        encoded = _encoded(headers)
        if getattr(body, "streaming", False) and _length(encoded) > SMALL_BYTES:
            channel.stream(status, encoded, body)
            return None
        return Response(status, encoded, b"".join(body))
    finally:
        if callable(close := getattr(body, "close", None)):
            close()


def _length(headers: list[tuple[bytes, bytes]]) -> float:
    return next((int(value) for name, value in headers if name == b"content-length"), inf)
