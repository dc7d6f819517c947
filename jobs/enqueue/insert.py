"""Create jobs: a few in one statement, many by COPY. All or none, and kinds that are new come into being here."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeVar

from django.db import OperationalError, connection, transaction
from psycopg.errors import DeadlockDetected

from jobs.enqueue.copy import BLOCK_BYTES, BLOCK_ROWS, Rows, filled, row_of, with_ids
from jobs.enqueue.new_job import NewJob as NewJob  # what producers hand to `enqueue`
from jobs.models import Job, JobKind
from jobs.turns import waiting

if TYPE_CHECKING:
    pass
from jobs.enqueue.statements import SQL, run

T = TypeVar("T")
#: From so many new jobs on, `COPY` is quicker than one statement.
COPY_FROM = 200
#: Blocks of rows in one `COPY`, so that what PostgreSQL remembers of each row until its end stays small.
COPY_BLOCKS = 100
#: Pages of rows that may be there already in one `INSERT`, for the same reason.
INCOMING_PAGES = 2000
#: The most rows that are added in the order of their keys.
SORTED_ROWS = 10_000
#: How often jobs are brought in when PostgreSQL ended it because two producers waited for each other.
TRIES = 4


@dataclass(frozen=True)
class Enqueued:
    """What became of new jobs: how many there are now, how many were there already. `jobs`: as `enqueue` returns."""

    created: int
    existing: int
    jobs: list[tuple[int, bool]] | None = None


def enqueue(new: Sequence[NewJob]) -> list[tuple[int, bool]]:
    """Add jobs, all or none. Returns `(id, created)` for each in order; a key that is there gives the job it has."""
    if len(new) < COPY_FROM:
        return _again(lambda: _bring_in({job.kind for job in new}, lambda _: _add(new)))
    with Rows() as rows:
        for job in new:
            rows.add(job)
        return enqueue_rows(rows, ids=True).jobs or []


def enqueue_rows(rows: Rows, *, ids: bool = False) -> Enqueued:
    """Add any number of jobs, all or none. With `ids`, says what became of each; that takes memory for them all."""

    def put(attempts: dict[str, int]) -> tuple[Enqueued, Mapping[str, int]]:
        with _checked_at_once():
            if rows.keyed or (rows.by_kind and len(set(attempts.values())) > 1):
                done = _add_incoming(rows, ids=ids)
            else:
                done = _copy(rows, max(attempts.values(), default=0), ids=ids)
        # How many of each kind are new is not known, but not more than these.
        return done, {kind: min(n, done.created) for kind, n in rows.due.items()}

    return _again(lambda: _bring_in(rows.kinds, put))


def enqueue_ahead(jobs: Iterator[NewJob]) -> tuple[int, Iterator[NewJob]]:
    """Add jobs as they come, up to the first that has a key or is of a new kind. Returns how many, and the others.

    Up to there nobody has to wait for anybody, and PostgreSQL adds some while the next are read. For jobs that come
    quickly: the transaction is open while they come.
    """
    now, count, rest = _now(), 0, jobs
    attempts = dict[str, bytes]()
    due = Counter[str]()

    def blocks() -> Iterator[bytes]:
        nonlocal count, rest
        block: list[bytes] = []
        weight = 0
        for job in jobs:
            most = attempts.get(job.kind)
            if job.key or most is None:
                rest = chain([job], jobs)
                break
            block.append(row_of(job, now, most))
            count += 1
            if job.run_at is None:
                due[job.kind] += 1
            weight += len(block[-1])
            if len(block) >= BLOCK_ROWS or weight >= BLOCK_BYTES:
                yield b"".join(block)
                block, weight = [], 0
        if block:
            yield b"".join(block)

    def put(there: dict[str, int]) -> tuple[None, Mapping[str, int]]:
        attempts.update({name: b"%d" % most for name, most in there.items()})
        with _checked_at_once():
            _write("copy", blocks())
        return None, due

    _bring_in(JobKind.objects.values_list("name", flat=True), put)
    return count, rest


def _bring_in(kinds: Collection[str], put: Callable[[dict[str, int]], tuple[T, Mapping[str, int]]]) -> T:
    """Where all new jobs come into being, one or a million: first kinds that are new, then the jobs, by `put`.

    All in one transaction. `put` is given each kind's `max_attempts`, and returns, with what it has to say, how many
    jobs of each kind are due now: who waits for them is told.
    """
    with transaction.atomic():
        said, due = put(_kinds_there(sorted(kinds)))
        waiting.announce(due)
    return said


def _again(bring: Callable[[], T]) -> T:
    """Do it, and do it again when it and another producer waited for each other: for the same keys in another order."""
    for _ in range(TRIES - 1):
        try:
            return bring()
        except OperationalError as error:
            # All of this one is undone, so the other goes on.
            if not isinstance(error.__cause__, DeadlockDetected):
                raise
    return bring()


def _kinds_there(names: list[str]) -> dict[str, int]:
    """These kinds' `max_attempts`; who is not there comes into being. None of them goes before the transaction ends."""
    attempts = {row["name"]: row["max_attempts"] for row in run("kinds", names=names)} if names else {}
    if len(attempts) < len(names):
        # In their order, so that two producers with the same new kinds cannot wait for each other.
        JobKind.objects.bulk_create([JobKind(name=n) for n in names if n not in attempts], ignore_conflicts=True)
        attempts = {row["name"]: row["max_attempts"] for row in run("kinds", names=names)}
    return attempts


def _add(new: Sequence[NewJob]) -> tuple[list[tuple[int, bool]], Mapping[str, int]]:
    """A few jobs, in one statement. Returns what `enqueue` does, and how many of each kind are due now."""
    rows = [
        {**job._asdict(), "run_at": job.run_at.isoformat() if job.run_at else None, "key": job.key or None}
        for job in new
    ]
    ids: list[int | None] = [row["id"] for row in run("enqueue", rows=rows)]
    keys = {(job.kind, job.key) for job, job_id in zip(new, ids, strict=True) if job_id is None}
    there: dict[tuple[str, str | None], int] = {}
    for kind in {kind for kind, _ in keys}:
        found = Job.objects.filter(kind=kind, key__in=[key for k, key in keys if k == kind])
        there |= {(kind, key): job_id for key, job_id in found.values_list("key", "id")}
    due = Counter(job.kind for job, job_id in zip(new, ids, strict=True) if job_id is not None and not job.run_at)
    return [
        (there[(job.kind, job.key)], False) if job_id is None else (job_id, True)
        for job, job_id in zip(new, ids, strict=True)
    ], due


def _copy(rows: Rows, max_attempts: int, *, ids: bool) -> Enqueued:
    """Any number of jobs of which none has a key, straight into the table."""
    now = _now()
    new = [row["id"] for row in run("reserve", count=rows.count)] if ids else []
    blocks = (filled(block, now=now, max_attempts=b"%d" % max_attempts) for block in rows.blocks())
    if ids:
        numbers = iter(new)
        _write("copy_numbered", (with_ids(block, numbers) for block in blocks))
    else:
        _write("copy", blocks)
    return Enqueued(rows.count, 0, [(job_id, True) for job_id in new] if ids else None)


def _add_incoming(rows: Rows, *, ids: bool) -> Enqueued:
    """Any number of jobs, by way of a table of their own: some may be there already."""
    run("incoming")
    _write("copy_incoming", rows.blocks())
    created = 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_size('pg_temp.incoming') / current_setting('block_size')::integer")
        pages = int(cursor.fetchone()[0])
        by_key = pages <= INCOMING_PAGES and rows.count <= SORTED_ROWS
        for first in range(0, pages, INCOMING_PAGES):
            params = {"first": first, "end": first + INCOMING_PAGES, "by_key": by_key}
            cursor.execute(SQL.text("enqueue_incoming"), params)
            created += cursor.rowcount
        jobs = [(row["id"], row["created"]) for row in run("incoming_ids")] if ids else None
        # Not only at the commit: the caller's transaction may go on, and enqueue again.
        cursor.execute("DROP TABLE pg_temp.incoming")
    return Enqueued(created, rows.count - created, jobs)


def _write(name: str, blocks: Iterator[bytes]) -> None:
    """Run a named `COPY` with these blocks of rows; more than once when they are many."""
    while first := next(blocks, None):
        with (
            connection.wrap_database_errors,
            connection.cursor() as cursor,
            cursor.copy(SQL.text(name)) as copy,
        ):
            for block in chain([first], islice(blocks, COPY_BLOCKS - 1)):
                copy.write(block)


def _now() -> bytes:
    """The database's time, as `COPY` takes it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        return bytes(cursor.fetchone()[0].isoformat(), "ascii")


@contextmanager
def _checked_at_once() -> Iterator[None]:
    """What a deferred check remembers of each new row it forgets after each statement, and not only at the commit."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        yield
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
