"""The rollup: what ended is added up once, a closed minute at a time, so that no page counts jobs.

A minute is closed when no transaction that began in it can still commit, or after `FORCED_AFTER`. What a transaction
commits that was open for longer is added when it has ended. All moments are the database's
(docs/decisions/0010-statistics.md).
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Min, OuterRef, Subquery
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Now
from django.utils.dateparse import parse_datetime

from jobs.models import Job, JobEvent, JobKind, JobRollup, RollupState
from jobs.states import FINISHED, Span
from jobs.stats import counts, learned
from jobs.stats.statements import SQL, run
from jobs.stats.times import FINE
from jobs.transitions import ADDED_UP
from jobsite.lib import histogram
from jobsite.lib.locks import Lock, try_lock, wait_for_lock

#: How long the rows of each span are kept. Totals are kept for ever.
KEEP = {
    Span.MINUTE: timedelta(hours=3),
    Span.QUARTER: timedelta(days=2),
    Span.HOUR: timedelta(days=95),
    Span.BOT_HOUR: timedelta(hours=50),
    Span.BOT_DAY: timedelta(days=95),
}
WIDTH = {Span.MINUTE: timedelta(minutes=1), Span.QUARTER: timedelta(minutes=15), Span.HOUR: timedelta(hours=1)}
#: A minute has been over for so long when it is closed: a transaction that has just begun is not in the list at once.
SETTLED = timedelta(seconds=30)
#: How long a minute stays open for a transaction that began in it.
FORCED_AFTER = timedelta(minutes=10)
#: For how long what such a transaction commits later is looked for.
LATEST = timedelta(days=1)
#: How much of the past one transaction adds up while catching up.
CHUNK = timedelta(hours=6)

#: The columns that are summed; the histograms are apart.
COUNTED = (
    "succeeded", "failed", "cancelled", "attempts_failed", "given_up", "expired", "requeued", "released",
    "handed_back", "cancelled_held", "leases_ended", "waits", "waited", "ran",
)  # fmt: skip
#: A row's full transaction number is at most half a round before the newest one.
_WRITTEN = """(SELECT (newest - ((newest - {xid}::text::bigint) & 4294967295))::text::xid8
               FROM (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS newest) AS x)"""
_NOT_YET = "NOT pg_visible_in_snapshot({written}, %(after)s::pg_snapshot)"
_BLANKS = {
    "wait_bucket": FINE.sql("t.waited"),
    "run_bucket": FINE.sql("t.ran"),
    "columns": ", ".join(COUNTED),
    "sums": ", ".join(f"sum(c.{column}) AS {column}" for column in COUNTED),
    "additions": ",\n        ".join(f"{column} = r.{column} + EXCLUDED.{column}" for column in COUNTED),
    "wait_times": histogram.added_sql("r.wait_times", "EXCLUDED.wait_times"),
    "run_times": histogram.added_sql("r.run_times", "EXCLUDED.run_times"),
}
#: The statement that adds closed minutes.
ADD = SQL.text("add_minutes", not_yet_added="true", event_not_yet_added="true", **_BLANKS)
#: The same for what was not to be seen when they were closed. A bot that is deleted rewrites the rows that name it:
#: those have no bot any more, and are left out.
ADD_LATE = SQL.text(
    "add_minutes",
    not_yet_added=_NOT_YET.format(written=_WRITTEN.format(xid="written_by"))
    + " AND (status <> 'succeeded' OR finished_by_id IS NOT NULL)",
    event_not_yet_added=_NOT_YET.format(written=_WRITTEN.format(xid="e.xmin"))
    + " AND (e.from_status = 'pending' OR e.bot_id IS NOT NULL)",
    **_BLANKS,
)


@dataclass(frozen=True)
class Closing:
    """Until when all minutes are closed, by the database's clock, and when the oldest open transaction began."""

    now: datetime
    until: datetime
    oldest: datetime | None

    def is_open(self, until: datetime) -> bool:
        """Whether a transaction is open that can still add to what ended before this moment."""
        return self.oldest is not None and self.oldest < until


def add_closed_minutes(now: datetime | None = None) -> int:
    """Add every minute that has been closed since the last time. Returns how many; 0 when another sweep is at it.

    Each minute is added in the transaction that moves `added_until`, so once. `now` is for tests.
    """
    minutes = 0
    while added := _add_chunk(now):
        minutes += added
    return minutes


def added_until() -> datetime | None:
    """Until when all is added up; None when nothing is yet."""
    return RollupState.objects.values_list("added_until", flat=True).first()


def last_counted() -> Combinable:
    """The last minute that is counted, with which the figures of an hour, day or week end: for a query.

    Now, where none is counted.
    """
    until = Subquery(RollupState.objects.values("added_until")[:1])
    return Coalesce(until - WIDTH[Span.MINUTE], Now())


def complete_until() -> datetime | None:
    """Until when nothing can be added any more, by nobody; None when nothing is added up yet. For pruning."""
    state = RollupState.objects.first()
    if state is None or state.added_until is None:
        return None
    return min([state.added_until, *(_moment(stretch["since"]) for stretch in state.reopened)])


def snapshot() -> str:
    """What can be seen now: for `reopen`."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_snapshot()::text")
        return str(cursor.fetchone()[0])


def reopen(before: str, past: timedelta) -> None:
    """Let `add_closed_minutes` add what was written since this snapshot, and ended within `past` of what is added."""
    with transaction.atomic():
        wait_for_lock(Lock.ROLLUP)
        state = RollupState.objects.get()
        assert state.added_until is not None  # noqa: S101 - the caller has added what there was
        since, week = state.added_until - past - CHUNK, timedelta(days=7)
        while since < state.added_until:
            until = min(since + week, state.added_until)
            state.reopened.append({"since": since.isoformat(), "until": until.isoformat(), "snapshot": before})
            since = until
        state.save(update_fields=["reopened"])


def first_end() -> Subquery:
    """When the first of a kind's jobs ended, of those that are there: for a query about kinds."""
    ended = Job.objects.filter(kind=OuterRef("pk"), status__in=FINISHED).order_by("finished_at")
    return Subquery(ended.values("finished_at")[:1])


def _add_chunk(now: datetime | None) -> int:
    with transaction.atomic():
        # To compile these statements takes longer than to run them; a minute of jobs is to stay in memory.
        if try_lock(Lock.ROLLUP, jit="off", work_mem="64MB") is None:
            return 0
        closing = _closing(now)
        state, _ = RollupState.objects.get_or_create(pk=RollupState.ONLY)
        labels = counts.label_kinds()
        _add_late(state, closing, labels)
        since = state.added_until or min(_next_end(closing.until - max(KEEP.values())), closing.until)
        until = _end_of_chunk(since, closing.until)
        if since < until:
            _add(state, since, until, closing, labels)
            _forget(closing.now, until)
            return int((until - since) / WIDTH[Span.MINUTE])
        if state.added_until is None:
            RollupState.objects.update(added_until=since)
        counts.refresh(labels, max(since, closing.until), closing.now)
    return 0


def _closing(now: datetime | None) -> Closing:
    with connection.cursor() as cursor:
        # PostgreSQL shows a transaction the same list of others for as long as it lasts.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
    (row,) = run("closing", now=now, settled=SETTLED, patience=FORCED_AFTER)
    return Closing(**row)


def _add(state: RollupState, since: datetime, until: datetime, closing: Closing, labels: list[str]) -> None:
    open_since = max(since, _minute(closing.oldest)) if closing.oldest and closing.is_open(until) else None
    state.added_until = until
    _execute(ADD, state, since, until, closing, labels, open_since=open_since)


def _add_late(state: RollupState, closing: Closing, labels: list[str]) -> None:
    """Add what was committed since, of stretches that were closed too early and can have nothing more to come."""
    ready = [stretch for stretch in state.reopened if not _may_grow(stretch, closing)]
    state.reopened = [stretch for stretch in state.reopened if _may_grow(stretch, closing)]
    for stretch in ready:
        since, until = _moment(stretch["since"]), _moment(stretch["until"])
        _execute(ADD_LATE, state, since, until, closing, labels, after=stretch["snapshot"])


def _may_grow(stretch: dict[str, str], closing: Closing) -> bool:
    until = _moment(stretch["until"])
    return closing.is_open(until) and until > closing.now - LATEST


def _execute(
    statement: str, state: RollupState, since: datetime, until: datetime, closing: Closing, labels: list[str],
    **params: Any,
) -> None:  # fmt: skip
    keep = {f"keep_{span}": length for span, length in KEEP.items()}
    of_state = {"added_until": state.added_until, "reopened": json.dumps(state.reopened), "open_since": None}
    kinds = {"labels": labels, "other": counts.OTHER, "zone": settings.TIME_ZONE}
    with connection.cursor() as cursor:
        cursor.execute(
            statement, {"since": since, "until": until, "now": closing.now} | keep | of_state | kinds | params
        )
        learned.learn(cursor.fetchall())
    state.refresh_from_db()


def _forget(now: datetime, until: datetime) -> None:
    """Delete rows that are older than is kept, and no minute that has just been added."""
    for span, length in KEEP.items():
        JobRollup.objects.filter(span=span, start__lt=min(now - length, until - WIDTH[Span.MINUTE])).delete()


def _end_of_chunk(since: datetime, until: datetime) -> datetime:
    """Until when one transaction adds up: as much as `CHUNK` has, and what is empty before that."""
    if until <= since + CHUNK:
        return until
    return min(until, max(since, _next_end(since)) + CHUNK)


def _next_end(since: datetime) -> datetime:
    """The minute of the first end from this moment on; far from now when there is none."""
    ended = Job.objects.filter(kind=OuterRef("pk"), status__in=FINISHED, finished_at__gte=since).order_by("finished_at")
    first = JobKind.objects.aggregate(first=Min(Subquery(ended.values("finished_at")[:1])))["first"]
    event = JobEvent.objects.filter(verb__in=ADDED_UP, at__gte=since).aggregate(first=Min("at"))["first"]
    found = [moment for moment in (first, event) if moment is not None]
    return max(_minute(min(found)), since) if found else datetime.max.replace(tzinfo=UTC) - CHUNK


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _moment(text: str) -> datetime:
    moment = parse_datetime(text)
    assert moment is not None  # noqa: S101 - the statement wrote it
    return moment
