"""Read a request's body on the event loop: whole, bounded in size, memory and time."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from django.conf import settings

from jobsite.lib import bodies, errors

Receive = Callable[[], Awaitable[dict[str, Any]]]
#: Asks whether the token of a call is valid, and raises when it is not.
CheckToken = Callable[[dict[str, Any]], Awaitable[None]]

#: Seconds between two looks at the bodies that are being read: whose token to check, which come too late.
TICK_SECONDS = 0.25
#: A call with a longer body has its token checked before it is read.
SMALL_BYTES = 64 * 1024
#: The deadline of a body grows by a second for so many bytes that have come.
SLOWEST_BYTES = 16 * 1024
#: Bytes of unfinished bodies that are held in memory for calls, and for forms, which strangers can send.
CALLS_BYTES, FORMS_BYTES = 256 * 1024 * 1024, 32 * 1024 * 1024
#: Seconds that a producer may leave a stream without a byte.
STREAM_SECONDS = 60.0
#: Seconds in which the rest of a body that is refused is read and dropped.
DISCARD_SECONDS = 5.0


def shutting_down() -> errors.JobsiteError:
    """Return the error for what has not come whole when the server ends."""
    return errors.Unavailable("The server is shutting down. Nothing was done; try again.")


class _Reading:
    """One body that is being read."""

    __slots__ = ("call", "checked", "checking", "done", "error", "held", "task", "until")

    def __init__(self, task: "asyncio.Task[Any] | None", call: dict[str, Any] | None, until: float) -> None:
        #: The task that reads, and the environ if it is a call's, whose token may be checked.
        self.task, self.call = task, call
        self.until = until
        #: Bytes that have come, and those of them that count as held in memory.
        self.done = self.held = 0
        self.checking: asyncio.Task[None] | None = None
        #: The token is valid.
        self.checked = False
        self.error: errors.JobsiteError | None = None

    def end(self, error: errors.JobsiteError) -> None:
        """End the reading with this error."""
        if self.error is None and self.task is not None:
            self.error = error
            self.task.cancel()


class Reader:
    """Reads bodies. `check_token` is asked about those that are long, or come slowly."""

    def __init__(self, check_token: CheckToken) -> None:
        self._check_token = check_token
        self._readings: set[_Reading] = set()
        #: Bytes held for calls, and for forms.
        self._held = {True: 0, False: 0}
        self._loop: asyncio.AbstractEventLoop | None = None
        #: Checks of tokens under way, by the header with the token: many slow calls with one token are one look-up.
        self._checks: dict[str, asyncio.Task[errors.JobsiteError | None]] = {}

    async def read(self, environ: dict[str, Any], receive: Receive) -> None:
        """Read the whole body into the environ. Raises the error with which the request is to be refused."""
        most = bodies.longest(environ)
        try:
            length = None if bodies.is_chunked(environ) else bodies.announced(environ, most)
            body = b"" if length == 0 else await self._read(environ, receive, length, most)
        except errors.TooLarge:
            if bodies.may_discard(environ, most):
                await _discard(receive)
            raise
        bodies.put_whole(environ, body)

    def stop(self) -> None:
        """End all reading now: the server is shutting down."""
        for reading in list(self._readings):
            reading.end(shutting_down())

    async def _read(self, environ: dict[str, Any], receive: Receive, length: int | None, most: int) -> bytes:
        call = environ if environ["PATH_INFO"].startswith(bodies.CALLS) else None
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._tick(self._loop)
        reading = _Reading(asyncio.current_task(), call, self._loop.time() + settings.BODY_SECONDS)
        self._readings.add(reading)
        try:
            if (length or 0) > SMALL_BYTES:
                await self._check_long(reading)
            return await self._all(reading, receive, length, most)
        except asyncio.CancelledError:
            if reading.error is None or reading.task is None:
                raise
            reading.task.uncancel()
            raise reading.error from None
        finally:
            self._readings.discard(reading)
            self._held[call is not None] -= reading.held

    async def _all(self, reading: _Reading, receive: Receive, length: int | None, most: int) -> bytes:
        parts = list[bytes]()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise bodies.broken_off(reading.done, length)
            if part := message.get("body", b""):
                parts.append(part)
                reading.done += len(part)
            if reading.done > most:
                raise errors.TooLarge(f"The body has more than {most} bytes, which is what this call takes.")
            if reading.done == length or not message.get("more_body", False):
                break
            self._hold(reading, len(part))
            if reading.done > SMALL_BYTES:
                await self._check_long(reading)
        if length is not None and reading.done < length:
            raise bodies.broken_off(reading.done, length)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _hold(self, reading: _Reading, size: int) -> None:
        """Count a part of a body that is not complete yet, and give the body more time."""
        call = reading.call is not None
        if self._held[call] + size > (CALLS_BYTES if call else FORMS_BYTES):
            raise errors.Unavailable("Too many long bodies are being sent to this server. Try again later.")
        reading.held += size
        self._held[call] += size
        reading.until += size / SLOWEST_BYTES

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        """Check the tokens of slow calls, and end what is too late."""
        now = loop.time()
        for reading in list(self._readings):
            if now >= reading.until:
                seconds = settings.BODY_SECONDS
                reading.end(errors.BodyTimeout(f"The body did not come within {seconds} s. Nothing was done."))
            elif reading.call is not None and reading.checking is None and not reading.checked:
                reading.checking = loop.create_task(self._check_late(reading, reading.call))
        loop.call_later(TICK_SECONDS, self._tick, loop)

    async def _check_long(self, reading: _Reading) -> None:
        """Check the token of a long body, once."""
        if reading.call is not None and not reading.checked:
            await self.check(reading.call)
            reading.checked = True

    async def _check_late(self, reading: _Reading, call: dict[str, Any]) -> None:
        try:
            await self.check(call)
        except errors.JobsiteError as error:
            if reading in self._readings:
                reading.end(error)

    async def check(self, call: dict[str, Any]) -> None:
        """Raise the error of a call without a valid token."""
        header = call.get("HTTP_AUTHORIZATION", "")
        if (check := self._checks.get(header)) is None:
            check = self._checks[header] = asyncio.create_task(self._ask(call))
            check.add_done_callback(lambda _: self._checks.pop(header, None))
        if error := await asyncio.shield(check):
            raise error

    async def _ask(self, call: dict[str, Any]) -> errors.JobsiteError | None:
        try:
            await self._check_token(call)
        except errors.JobsiteError as error:
            return error
        return None


async def _discard(receive: Receive) -> None:
    done = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_SECONDS):
            while done <= bodies.SPARE_BYTES:
                message = await receive()
                done += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body", False):
                    break


class Stream(io.RawIOBase):
    """A body that a thread reads while it comes. BadRequest when it breaks off, BodyTimeout when nothing comes."""

    def __init__(self, receive: Receive, loop: asyncio.AbstractEventLoop, length: int | None) -> None:
        self._receive, self._loop, self._length = receive, loop, length
        self._rest, self._done, self._ended = b"", 0, False
        self._task: asyncio.Task[Any] | None = None
        self._error: errors.JobsiteError | None = None

    def read(self, size: int = -1, /) -> bytes:
        """Read up to `size` bytes; all that is left without."""
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(bodies.SPARE_BYTES), b""))
        if not self._rest and not self._ended and size:
            self._rest = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
        part, self._rest = self._rest[:size], self._rest[size:]
        return part

    def end(self, error: errors.JobsiteError) -> None:
        """End the reading with this error. Called on the event loop."""
        self._error = error
        if self._task is not None:
            self._task.cancel()

    async def _next(self) -> bytes:
        self._task = asyncio.current_task()
        try:
            while not self._ended and self._error is None:
                async with asyncio.timeout(STREAM_SECONDS):
                    message = await self._receive()
                if message["type"] != "http.request":
                    raise bodies.broken_off(self._done, self._length)
                body: bytes = message.get("body", b"")
                self._done += len(body)
                self._ended = self._done == self._length or not message.get("more_body", False)
                if body:
                    return body
        except TimeoutError:
            raise errors.BodyTimeout(f"Nothing more of the body came for {STREAM_SECONDS:.0f} s.") from None
        except asyncio.CancelledError:
            if self._error is None:
                raise
        if self._error is not None:
            raise self._error
        return b""
