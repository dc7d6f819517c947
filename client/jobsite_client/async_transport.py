"""The same calls as `transport` makes, for `async` code."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, TypeVar

import httpx

from .errors import Unavailable
from .request import Reply, Request, Steps, compressed
from .transport import Connection, network_errors

T = TypeVar("T")
Own = TypeVar("Own", bound="AsyncTransport")


class AsyncTransport(Connection):
    """Calls the API at `url` with `token`, in one event loop. All calls go through `run`."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        instance: str | None = None,
        timeout: float = 10.0,
        retry_for: float = 60.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(url, token, instance, timeout, retry_for)
        self._http = httpx.AsyncClient(**self._settings, transport=transport)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self: Own) -> Own:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def run(self, call: Request[T] | Steps[T]) -> T:
        """Make one call of the API, and return its answer. Raises as `Client.run` does."""
        return await (self.send(call) if isinstance(call, Request) else self._follow(call))

    async def send(self, request: Request[T]) -> T:
        """Send one request, and repeat it as its policy says."""
        content, tries = request.content(), self._tries(request)
        while True:
            try:
                return request.read(await self._once(request, content))
            except Unavailable as error:
                delay = tries.delay(error)
                if delay is None:
                    raise
            await self._sleep(delay)

    async def _once(self, request: Request[Any], content: bytes | None) -> Reply:
        instance = self.instance
        body = content if request.lines is None else _each(compressed(request.lines))
        with network_errors():
            response = await self._http.request(
                request.method, request.path, content=body, **self._arguments(request, instance)
            )
        return self._reply(response, instance)

    async def _follow(self, steps: Steps[T]) -> T:
        try:
            step = next(steps)
            while True:
                if isinstance(step, Request):
                    step = steps.send(await self.send(step))
                else:
                    await self._sleep(step)
                    step = next(steps)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _each(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
