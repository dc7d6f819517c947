"""Add up the rollup for the report: leases that ended, and those that were returned, by bot, kind and time."""

import operator
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import reduce
from pathlib import Path

from django.db import transaction
from django.db.models import BigIntegerField, F, QuerySet, Sum
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast

from jobs.models import JobRollup
from jobs.release_patterns.outliers import LeaseCounts
from jobs.states import Span
from jobsite.lib import source
from jobsite.lib.sql import Statements

SQL = Statements(Path(__file__).parent / "sql")
#: The ways in which a lease is returned, in words.
WAYS = {
    "released": "released by operators",
    "expired": "expired",
    "handed_back": "handed back by bots",
}
#: The rollup's columns for each way in which a lease can end (`transitions.Outcome`).
COLUMNS = {
    "succeeded": ("succeeded",),
    "failed": ("attempts_failed",),
    "cancelled": ("cancelled_held",),
    "released": ("released",),
    "expired": ("expired", "given_up"),
    "handed_back": ("handed_back",),
}
ENDED = tuple(column for columns in COLUMNS.values() for column in columns)
#: For a statement that adds up all rows of bots: the groups are kept in memory, and the rows are found by the index, in
#: the order in which they were written. PostgreSQL would rather read the whole table, and sort.
SETTINGS = "SELECT set_config('work_mem', '64MB', true), set_config('enable_seqscan', 'off', true)"

#: What ended in one stretch of time: when it began, and the counts.
Stretch = tuple[datetime, int, int]


def beginning(span: Span, since: datetime, until: datetime) -> QuerySet[JobRollup]:
    """The rows that begin in this range."""
    return JobRollup.objects.filter(span=span, start__gte=since, start__lt=until)


def by_bot(since: datetime, until: datetime, *, finely: bool) -> dict[tuple[str, str], tuple[int, ...]]:
    """By bot and kind: leases returned in each of `WAYS`, and all that ended. Bots as text."""
    ways = ", ".join(f"sum({' + '.join(COLUMNS[way])})::bigint" for way in WAYS)
    text = SQL.text("by_bot", ways=ways, ended=" + ".join(ENDED))
    span = Span.BOT_HOUR if finely else Span.BOT_DAY
    connection = source.connection()
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(SETTINGS)
        cursor.execute(text, {"span": span, "since": since, "until": until})
        found = cursor.fetchall()
    names = {bot: str(bot) for bot, *_ in found}
    return {(names[bot], kind): tuple(counts) for bot, kind, *counts in found}


def by_start(rows: QuerySet[JobRollup], ways: Sequence[str]) -> list[Stretch]:
    """Leases that were returned, and that ended, by the start of the rows."""
    sums = {"given": _sum(_columns(ways)), "ended": _sum(ENDED)}
    return list(rows.values_list("start").annotate(**sums).order_by())


def by_slot(
    starts: Iterable[datetime], slot_of: Callable[[datetime], str], ways: Sequence[str]
) -> dict[tuple[str, str], LeaseCounts]:
    """Leases that were returned, and that ended, by slot and kind, of the hours that begin then."""
    starts = list(starts)
    text = SQL.text("by_slot", given=" + ".join(_columns(ways)), ended=" + ".join(ENDED))
    with source.connection().cursor() as cursor:
        cursor.execute(text, {"slots": [slot_of(start) for start in starts], "starts": starts})
        return {(slot, kind): (given, ended) for slot, kind, given, ended in cursor.fetchall()}


def _columns(ways: Sequence[str]) -> list[str]:
    return [column for way in ways for column in COLUMNS[way]]


def _sum(columns: Sequence[str]) -> Cast:
    """The sum of these columns as PostgreSQL's bigint. Without the cast it is a decimal, which takes long to read."""
    added: Combinable = reduce(operator.add, (F(column) for column in columns))
    return Cast(Sum(added), BigIntegerField())
