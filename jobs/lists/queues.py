"""The queue of each kind: what waits, what is held, what ends, how long it takes now and a week ago, and who serves it.

Figures of what ended come from the rollup. What is pending is counted up to a bound that all kinds share.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Any

from jobs.limits import CLOSED_SQL
from jobs.lists import takers
from jobs.models import JobKind
from jobs.stats import counts, recent
from jobs.stats.counts import Count
from jobs.stats.recent import Recently
from jobsite.lib.sql import Statements

SQL = Statements(Path(__file__).parent / "sql", closed=CLOSED_SQL)
#: How many pending jobs are counted one by one for one look at all kinds, and at least of each.
COUNTED, COUNTED_OF_KIND = 100_000, 100


@dataclass(frozen=True)
class Queue:
    """One kind with its figures. None: there is no such figure. While it is paused or throttled, nothing is due."""

    kind: JobKind
    pending: Count
    due: Count
    held: int
    oldest: datetime | None
    oldest_id: int | None
    #: Bots that take it and can take a job now, and all that take it.
    ready: int
    bots: int
    recently: Recently

    @property
    def waits(self) -> float:
        """By what to sort how long its oldest due job has been due."""
        return -self.oldest.timestamp() if self.oldest else float("-inf")


#: What a list of queues can be sorted by: `(name, heading, value)`.
COLUMNS: tuple[tuple[str, str, Any], ...] = (
    ("kind", "Kind", attrgetter("kind.name")),
    ("pending", "Pending", attrgetter("pending.n")),
    ("due", "Due", attrgetter("due.n")),
    ("held", "Held", attrgetter("held")),
    ("oldest", "Oldest due", attrgetter("waits")),
    ("leases", "Leases a minute", attrgetter("recently.leases_a_minute")),
    ("ended", "Ends a minute", attrgetter("recently.a_minute")),
    ("failed", "Failed", attrgetter("recently.failure_share")),
    ("p50", "p50", attrgetter("recently.now.p50")),
    ("p95", "p95", attrgetter("recently.now.p95")),
    ("bots", "Bots", attrgetter("ready")),
)
SORTS = {name: value for name, _, value in COLUMNS}


def queues(kinds: Collection[JobKind], *, recently: bool = True) -> list[Queue]:
    """Return the queues of these kinds, in their order. Five queries; without what has ended `recently`, three."""
    names = [kind.name for kind in kinds]
    if not names:
        return []
    most = max(COUNTED_OF_KIND, COUNTED // len(names))
    waiting = {row["kind"]: row for row in SQL.rows("queues", kinds=names, most=most)}
    oldest = {row["kind"]: row for row in counts.oldest_pending() if not row["closed"]}
    ended = recent.recently(names) if recently else {}
    bots = takers.takers_of(names)
    return [
        Queue(
            kind=kind,
            pending=_counted(waiting[kind.name]["pending"], most, waiting[kind.name]["swept"] or 0),
            due=_counted(waiting[kind.name]["due"], most, waiting[kind.name]["swept"] or 0),
            held=waiting[kind.name]["held"],
            oldest=oldest[kind.name]["due_since"] if kind.name in oldest else None,
            oldest_id=oldest[kind.name]["id"] if kind.name in oldest else None,
            ready=bots[kind.name]["ready"],
            bots=bots[kind.name]["all"],
            recently=ended.get(kind.name, Recently()),
        )
        for kind in kinds
    ]


def _counted(n: int, most: int, swept: int) -> Count:
    """A count that stopped beyond `most`: then the sweep's last count, which has those that are due later as well."""
    return Count(n) if n <= most else Count(max(n - 1, swept), about=True)


def came_due(kind: str, hours: int = 24, most: int = 20_000) -> list[int]:
    """How many of a kind's due jobs became due in each of the last hours, the oldest hour first.

    The first hour has all that became due before. At most `most` of the kind's pending jobs are looked at.
    """
    found = {row["ago"]: row["n"] for row in SQL.rows("came_due", kind=kind, hours=hours, most=most)}
    return [found.get(ago, 0) for ago in reversed(range(hours))]


def ordered(rows: Sequence[Queue], by: str) -> list[Queue]:
    """Sort queues by one of `SORTS`, with a minus in front the largest first. What has no figure comes last."""
    name, down = by.lstrip("-"), by.startswith("-")
    value = SORTS.get(name, SORTS["kind"])
    some = [row for row in rows if value(row) is not None]
    return sorted(some, key=value, reverse=down) + [row for row in rows if value(row) is None]
