"""Page through a list. A page's cursor is the id of the last row of the page before it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import QuerySet
from django.http import HttpRequest

from jobsite.lib.params import MAX_ID, MAX_PAGE, PAGE, integer

Rows = TypeVar("Rows", bound=QuerySet[Any])
Row = TypeVar("Row", bound=Any)


@dataclass(frozen=True)
class CursorPage:
    """The page that a request asks for by its parameters `limit` and `cursor`."""

    limit: int
    cursor: int | None

    @classmethod
    def from_request(cls, request: HttpRequest) -> "CursorPage":
        """Read `limit` and `cursor`. Invalid, which names it, for one that is no integer in its range."""
        cursor = integer(request, "cursor", 0, MAX_ID) if request.GET.get("cursor") else None
        return cls(integer(request, "limit", PAGE, MAX_PAGE), cursor)

    @property
    def reads(self) -> int:
        """How many rows to read: one more than the page has, to know whether there is another page."""
        return self.limit + 1

    def newest_first(self, rows: Rows) -> Rows:
        """Return `rows` without those of the pages before."""
        return rows if self.cursor is None else rows.filter(pk__lt=self.cursor)

    def oldest_first(self, rows: Rows) -> Rows:
        """Return `rows` without those of the pages before."""
        return rows if self.cursor is None else rows.filter(pk__gt=self.cursor)

    def cut(self, rows: Iterable[Row]) -> tuple[list[Row], str | None]:
        """Return the rows of the page, of the `reads` rows that were read, and the cursor of the next page."""
        page = list(rows)
        has_next = len(page) > self.limit
        return page[: self.limit], str(page[self.limit - 1].pk) if has_next else None
