"""Iterate over lists that the API gives in pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from .async_transport import AsyncTransport
from .messages import given, json_object
from .reading import reader
from .request import Reply, Request
from .transport import Transport

T = TypeVar("T")
# The most that a page has.
PAGE_LIMIT = 1000


@dataclass(frozen=True)
class Listing(Generic[T]):
    """A list at `path`. An answer has its items under `noun`. `limit`: of all items; `cursor`: where to begin."""

    item: type[T]
    path: str
    noun: str
    filters: Mapping[str, Any]
    limit: int | None
    cursor: str | None


class _Pages(Generic[T]):
    """What has come and what is still to ask for. `next_cursor` begins the page after the last one that has come."""

    def __init__(self, listing: Listing[T]) -> None:
        self._listing = listing
        self._read = reader(listing.item)
        self._left = listing.limit
        self._items: list[T] = []
        self._over = listing.limit is not None and listing.limit <= 0
        self.next_cursor = listing.cursor

    def _request(self) -> Request[None]:
        limit = None if self._left is None else min(self._left, PAGE_LIMIT)
        params = {**self._listing.filters, **given(limit=limit, cursor=self.next_cursor)}
        return Request("GET", self._listing.path, self._take, params=params)

    def _take(self, reply: Reply) -> None:
        body = json_object(reply.body)
        self._items = [self._read(item) for item in body.get(self._listing.noun) or ()][: self._left]
        if self._left is not None:
            self._left -= len(self._items)
        self._items.reverse()
        self.next_cursor = body.get("next_cursor")
        self._over = self.next_cursor is None or self._left == 0


class Pages(_Pages[T]):
    """An iterator over all items. It asks for the next page when it has given out the one before."""

    def __init__(self, client: Transport, listing: Listing[T]) -> None:
        super().__init__(listing)
        self._client = client

    def __iter__(self) -> "Pages[T]":
        return self

    def __next__(self) -> T:
        while not self._items:
            if self._over:
                raise StopIteration
            self._client.run(self._request())
        return self._items.pop()


class AsyncPages(_Pages[T]):
    """As `Pages`, for `async for`."""

    def __init__(self, client: AsyncTransport, listing: Listing[T]) -> None:
        super().__init__(listing)
        self._client = client

    def __aiter__(self) -> "AsyncPages[T]":
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self._over:
                raise StopAsyncIteration
            await self._client.run(self._request())
        return self._items.pop()
