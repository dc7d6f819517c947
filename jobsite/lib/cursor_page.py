"""Pages of a list. A page's cursor is the id of the last row of the page before it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import QuerySet
from django.http import HttpRequest

from jobsite.lib.params import MAX_ID, whole

#: Rows on a page: unless `limit` says otherwise, and at most.
PAGE, MAX_PAGE = 100, 1000

Rows = TypeVar("Rows", bound=QuerySet[Any])
Row = TypeVar("Row", bound=Any)


@dataclass(frozen=True)
class CursorPage:
    """What page of a list a request asks for, by its parameters `limit` and `cursor`."""

    limit: int
    cursor: int | None

    @classmethod
    def of(cls, request: HttpRequest) -> "CursorPage":
        """Read `limit` and `cursor`. Invalid, naming it, for one that is no whole number in its range."""
        cursor = whole(request, "cursor", 0, MAX_ID) if request.GET.get("cursor") else None
        return cls(whole(request, "limit", PAGE, MAX_PAGE), cursor)

    @property
    def reads(self) -> int:
        """How many rows to read: one more than the page has, which says whether there is another page."""
        return self.limit + 1

    def newest_first(self, rows: Rows) -> Rows:
        """`rows`, without those of the pages before."""
        return rows if self.cursor is None else rows.filter(pk__lt=self.cursor)

    def oldest_first(self, rows: Rows) -> Rows:
        """`rows`, without those of the pages before."""
        return rows if self.cursor is None else rows.filter(pk__gt=self.cursor)

    def cut(self, rows: Iterable[Row]) -> tuple[list[Row], str | None]:
        """The rows of the page, of `reads` rows that were read, and the cursor of the next page."""
        page = list(rows)
        more = len(page) > self.limit
        return page[: self.limit], str(page[self.limit - 1].pk) if more else None
