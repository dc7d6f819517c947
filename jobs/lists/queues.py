"""The queue of each kind: what waits, what is held, what ends, how long it takes now and a week ago, and who serves it.

Figures of what ended come from the rollup. What is pending is counted up to a bound that all kinds share.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Any

from jobs.limits import CLOSED_SQL
from jobs.lists import takers
from jobs.models import JobKind
from jobs.stats import counts, recent
from jobs.stats.counts import Count
from jobs.stats.recent import Recently, RunTimes
from jobsite.lib.sql import Statements

SQL = Statements(Path(__file__).parent / "sql", closed=CLOSED_SQL)
#: How many pending jobs are counted one by one for one look at all kinds, and at least of each.
COUNTED, COUNTED_OF_KIND = 100_000, 100


@dataclass(frozen=True)
class Queue:
    """One kind with its figures. None: there is no such figure. While it is paused or throttled, nothing is due."""

    kind: JobKind
    pending: Count = field(default_factory=lambda: Count(0))
    due: Count = field(default_factory=lambda: Count(0))
    held: int = 0
    oldest: datetime | None = None
    oldest_id: int | None = None
    #: Bots that take it and can take a job now, and all that take it.
    ready: int = 0
    bots: int = 0
    recently: Recently = field(default_factory=Recently)
    ran: RunTimes = field(default_factory=RunTimes)

    @property
    def waits(self) -> float:
        """By what to sort how long its oldest due job has been due."""
        return -self.oldest.timestamp() if self.oldest else float("-inf")


#: What the figures of queues are read from.
SOURCES = ("waiting", "oldest", "takers", "recently", "ran")
#: What a list of queues can be sorted by: `(name, heading, value, its source)`.
COLUMNS: tuple[tuple[str, str, Any, str], ...] = (
    ("kind", "Kind", attrgetter("kind.name"), ""),
    ("pending", "Pending", attrgetter("pending.n"), "waiting"),
    ("due", "Due", attrgetter("due.n"), "waiting"),
    ("held", "Held", attrgetter("held"), "waiting"),
    ("oldest", "Oldest due", attrgetter("waits"), "oldest"),
    ("leases", "Leases a minute", attrgetter("recently.leases_a_minute"), "recently"),
    ("ended", "Ends a minute", attrgetter("recently.a_minute"), "recently"),
    ("failed", "Failed", attrgetter("recently.failure_share"), "recently"),
    ("p50", "p50", attrgetter("ran.now.p50"), "ran"),
    ("p95", "p95", attrgetter("ran.now.p95"), "ran"),
    ("bots", "Bots", attrgetter("ready"), "takers"),
)
SORTS = {name: (value, source) for name, _, value, source in COLUMNS}


def queues(kinds: Collection[JobKind], sources: Collection[str] = SOURCES) -> list[Queue]:
    """Return the queues of these kinds, in their order, with the figures of these sources. At most five queries."""
    return _read([Queue(kind) for kind in kinds], sources)


def _read(rows: list[Queue], sources: Collection[str]) -> list[Queue]:
    """The same queues with the figures of these sources."""
    names = [row.kind.name for row in rows]
    found: dict[str, dict[str, Any]] = {name: {} for name in names}
    for source in sources if names else ():
        for name, figures in _READ[source](names):
            found[name] |= figures
    return [replace(row, **found[row.kind.name]) for row in rows]


def _waiting(names: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    most = max(COUNTED_OF_KIND, COUNTED // len(names))
    for row in SQL.rows("queues", kinds=names, most=most):
        pending, due = (_counted(row[name], most, row["swept"] or 0) for name in ("pending", "due"))
        yield row["kind"], {"pending": pending, "due": due, "held": row["held"]}


def _oldest(names: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for row in counts.oldest_pending(names):
        if not row["closed"]:
            yield row["kind"], {"oldest": row["due_since"], "oldest_id": row["id"]}


def _takers(names: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, bots in takers.takers_of(names).items():
        yield name, {"ready": bots["ready"], "bots": bots["all"]}


def _recently(names: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, recently in recent.recently(names).items():
        yield name, {"recently": recently}


def _ran(names: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, ran in recent.run_times(names).items():
        yield name, {"ran": ran}


_READ = {"waiting": _waiting, "oldest": _oldest, "takers": _takers, "recently": _recently, "ran": _ran}


def _counted(n: int, most: int, swept: int) -> Count:
    """A count that stopped beyond `most`: then the sweep's last count, which has those that are due later as well."""
    return Count(n) if n <= most else Count(max(n - 1, swept), about=True)


def came_due(kind: str, hours: int = 24, most: int = 20_000) -> list[int]:
    """How many of a kind's due jobs became due in each of the last hours, the oldest hour first.

    The first hour has all that became due before. At most `most` of the kind's pending jobs are looked at.
    """
    found = {row["ago"]: row["n"] for row in SQL.rows("came_due", kind=kind, hours=hours, most=most)}
    return [found.get(ago, 0) for ago in reversed(range(hours))]


def ordered(kinds: Collection[JobKind], by: str) -> list[Queue]:
    """Sort queues by one of `SORTS`, with a minus in front the largest first. What has no figure comes last.

    They have the figures that they are sorted by, and no others: `completed` reads these of those that are shown.
    """
    value, source = _sort(by)
    rows = queues(kinds, [source] if source else [])
    some = sorted((row for row in rows if value(row) is not None), key=value, reverse=by.startswith("-"))
    return some + [row for row in rows if value(row) is None]


def completed(rows: Collection[Queue], by: str) -> list[Queue]:
    """Read what queues that were sorted so have not yet."""
    return _read(list(rows), [source for source in SOURCES if source != _sort(by)[1]])


def _sort(by: str) -> tuple[Any, str]:
    return SORTS.get(by.lstrip("-"), SORTS["kind"])
