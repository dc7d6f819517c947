"""Call the WSGI application in a thread, and send what it answers from the event loop."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, NamedTuple
from wsgiref.types import WSGIApplication

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

#: Streamed answers up to this size are put together in the thread.
SMALL_BYTES = 1024 * 1024
#: Seconds that a client may leave the next part of a streamed answer unread.
UNREAD_SECONDS = 60.0


class Answer(NamedTuple):
    """What the application answered: in one piece, or as parts that are still to be made."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    parts: Iterable[bytes] | None = None


def answer_of(application: WSGIApplication, environ: dict[str, Any]) -> Answer:
    """Call the application. Runs in a thread."""
    status, headers = 500, list[tuple[str, str]]()

    def start_response(line: str, given: list[tuple[str, str]], *failed: Any) -> Any:
        nonlocal status, headers
        status, headers = int(line[:3]), given

    body = application(environ, start_response)
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    if getattr(body, "streaming", False) or not isinstance(body, list | tuple):
        length = next((int(value) for name, value in encoded if name == b"content-length"), None)
        if getattr(body, "streaming", True) and (length is None or length > SMALL_BYTES):
            return Answer(status, encoded, b"", body)
    try:
        return Answer(status, encoded, b"".join(body))
    finally:
        close(body)


def close(body: Iterable[bytes]) -> None:
    """End the request, as a WSGI server does."""
    if callable(closing := getattr(body, "close", None)):
        closing()


async def send(answer: Answer, sending: Send) -> None:
    """Send an answer in one piece."""
    await sending({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    await sending({"type": "http.response.body", "body": answer.body})


class Streamed:
    """Sends an answer in parts: a thread makes them, no faster than the client reads them."""

    def __init__(self, answer: Answer, sending: Send, receive: Receive) -> None:
        self._answer, self._sending, self._receive = answer, sending, receive
        self._loop = asyncio.get_running_loop()
        self._gone = False

    async def run(self, in_thread: Callable[..., Awaitable[Any]]) -> None:
        """Send everything, until the client is gone or reads nothing for `UNREAD_SECONDS`."""
        start = {"type": "http.response.start", "status": self._answer.status, "headers": self._answer.headers}
        await self._sending(start)
        watch = self._loop.create_task(self._watch())
        try:
            with suppress(TimeoutError):
                await in_thread(self._make)
        finally:
            watch.cancel()
            await self._sending({"type": "http.response.body", "body": b""})

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True

    def _make(self) -> None:
        parts = self._answer.parts or ()
        try:
            for part in parts:
                if self._gone:
                    break
                asyncio.run_coroutine_threadsafe(self._part(part), self._loop).result()
        finally:
            close(parts)

    async def _part(self, part: bytes) -> None:
        async with asyncio.timeout(UNREAD_SECONDS):
            await self._sending({"type": "http.response.body", "body": part, "more_body": True})
