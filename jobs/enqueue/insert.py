"""Insert jobs: a few in one statement, larger sets by COPY. All or none; creates kinds that are new."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import TypeVar

from django.conf import settings
from django.db import OperationalError, connection, transaction
from psycopg.errors import DeadlockDetected

from jobs.enqueue import pending
from jobs.enqueue.copy import BLOCK_BYTES, BLOCK_ROWS, Rows, fill_defaults, prepend_ids, row_of
from jobs.enqueue.kinds import Kinds, lock_kinds
from jobs.enqueue.new_job import NewJob as NewJob  # what producers hand to `enqueue`
from jobs.enqueue.statements import SQL, run
from jobs.errors import TooManyPending
from jobs.lifecycle import gates
from jobs.models import Job, JobKind
from jobs.turns import notifications
from jobsite.lib import outcomes
from jobsite.lib.clock import database_now

T = TypeVar("T")
#: From this number of jobs on `COPY` is faster than one statement.
COPY_FROM = 200
#: Blocks of rows in one `COPY`: PostgreSQL keeps something of each row in memory until its end.
COPY_BLOCKS = 100
#: Pages of the temporary table in one `INSERT`, for the same reason.
INCOMING_PAGES = 2000
#: Up to this number rows are inserted in the order of their keys.
SORTED_ROWS = 10_000
#: How often a transaction is tried that ends in a deadlock with another producer.
MAX_TRIES = 4


@dataclass(frozen=True)
class Enqueued:
    """The result: jobs that were created, and those that existed already. `jobs`: as `enqueue` returns them."""

    created: int
    existing: int
    jobs: list[tuple[int, bool]] | None = None


def enqueue(new: Sequence[NewJob]) -> list[tuple[int, bool]]:
    """Add jobs, all or none. Returns `(id, created)` for each, in order; an existing key gives the existing job.

    TooManyPending, here and in what follows, when there would be too many that are pending.
    """
    if len(new) < COPY_FROM:
        return _retry_deadlocks(lambda: _insert({job.kind for job in new}, lambda kinds: _insert_few(new, kinds)))
    with Rows() as rows:
        for job in new:
            rows.add(job)
        return enqueue_rows(rows, ids=True).jobs or []


def enqueue_one(new: NewJob) -> tuple[Job, bool]:
    """Add one job. Returns it, and whether it was created.

    Nearly every one is a statement of its own. One whose key exists, or whose kind is new or has a bound, takes the
    way of several; it is read before the commit, after which nothing may fail.
    """
    job = _retry_deadlocks(lambda: _insert_one(new))
    if job is not None:
        if job.gated:
            gates.open_added([(new.kind, new.group)])
        notifications.announce({new.kind: int(new.run_at is None)})
        return job, True

    def write(kinds: Kinds) -> tuple[tuple[Job, bool], Mapping[str, int]]:
        ((job_id, created),), due = _insert_few([new], kinds)
        return (Job.objects.select_related("claimed_by").get(pk=job_id), created), due

    return _retry_deadlocks(lambda: _insert({new.kind}, write))


def enqueue_within(new: Sequence[NewJob]) -> list[tuple[int, bool]]:
    """Add a few jobs in the caller's transaction, which goes on if they are refused. Returns what `enqueue` does."""
    jobs, due = _insert_few(new, lock_kinds(sorted({job.kind for job in new})))
    notifications.announce(due)
    return jobs


def _insert_one(new: NewJob) -> Job | None:
    """Insert a job in a statement of its own; None if it is not so simple, and then nothing was done."""
    bounds = {pending.ALL: settings.MAX_PENDING} if settings.MAX_PENDING else {}
    try:
        pending.figures.admit(bounds, Counter([new.kind]))
    except TooManyPending:
        # Unless it exists already.
        return None
    params = new._asdict() | {"payload": json.dumps(new.payload, allow_nan=False), "key": new.key or None}
    jobs = list(Job.objects.raw(SQL.text("enqueue_one"), params))
    if not jobs:
        pending.figures.add(bounds, Counter({new.kind: -1}))
    return jobs[0] if jobs else None


def enqueue_rows(rows: Rows, *, ids: bool = False) -> Enqueued:
    """Add any number of jobs, all or none. With `ids` the result has `jobs`, in memory for all of them."""

    def write(kinds: Kinds) -> tuple[Enqueued, Mapping[str, int]]:
        with _immediate_constraints():
            if rows.keyed or rows.groups or kinds.limited or (rows.by_kind and len(set(kinds.attempts.values())) > 1):
                done = _insert_incoming(rows, kinds, ids=ids)
            else:
                pending.figures.admit(kinds.bounds, rows.kinds)
                done = _copy(rows, max(kinds.attempts.values(), default=0), ids=ids)
        kinds.open_gates(rows.groups, rows.kinds)
        # How many of each kind are new is not known; these are upper bounds.
        return done, {kind: min(n, done.created) for kind, n in (rows.kinds - rows.later).items()}

    return _retry_deadlocks(lambda: _insert(rows.kinds, write))


def enqueue_ahead(jobs: Iterator[NewJob]) -> tuple[int, Iterator[NewJob]]:
    """Add jobs while they are read, up to the first with a key or a group, or of a kind that is new or has limits.

    Returns their number, and the others. Such jobs cannot wait for another producer's, and PostgreSQL inserts some
    while the next are read. For sources that are fast: the transaction is open while they are read.
    """
    now, rest, attempts = _database_time(), jobs, dict[str, bytes]()
    new, later = Counter[str](), Counter[str]()

    def blocks(ahead: pending.Ahead) -> Iterator[bytes]:
        nonlocal rest
        block: list[bytes] = []
        weight = 0
        for job in jobs:
            max_attempts = attempts.get(job.kind)
            if job.key or job.group or max_attempts is None:
                rest = chain([job], jobs)
                break
            block.append(row_of(job, now, max_attempts))
            new[job.kind] += 1
            if job.run_at is not None:
                later[job.kind] += 1
            weight += len(block[-1])
            if len(block) >= BLOCK_ROWS or weight >= BLOCK_BYTES:
                ahead.check()
                yield b"".join(block)
                block, weight = [], 0
        ahead.check()
        if block:
            yield b"".join(block)

    def write(existing: Kinds) -> tuple[None, Mapping[str, int]]:
        attempts.update(existing.unlimited)
        ahead = pending.Ahead(existing.bounds, new)
        with _immediate_constraints():
            _copy_blocks("copy", blocks(ahead))
        ahead.add()
        return None, new - later

    _insert(JobKind.objects.values_list("name", flat=True), write)
    return new.total(), rest


def _insert(kinds: Collection[str], write: Callable[[Kinds], tuple[T, Mapping[str, int]]]) -> T:
    """Insert jobs in one transaction: first kinds that are new, then the jobs, by `write`.

    `write` returns its result and how many jobs of each kind are due now, which are announced to waiting claims.
    """
    with transaction.atomic(), outcomes.before_commit():
        result, due = write(lock_kinds(sorted(kinds)))
        notifications.announce(due)
    return result


def _retry_deadlocks(insert: Callable[[], T]) -> T:
    """Repeat a transaction that ended in a deadlock with another producer, over the same keys in another order."""
    for _ in range(MAX_TRIES - 1):
        try:
            return insert()
        except OperationalError as error:
            # It was rolled back, so the other one goes on.
            if not isinstance(error.__cause__, DeadlockDetected):
                raise
    return insert()


def _admit(kinds: Kinds, new: Counter[str], created: Callable[[], Counter[str]]) -> None:
    """Check the bounds. `created` counts, by a query, those of the new jobs whose key does not exist already."""
    try:
        pending.figures.admit(kinds.bounds, new)
    except TooManyPending:
        pending.figures.admit(kinds.bounds, created())


def _insert_few(new: Sequence[NewJob], kinds: Kinds) -> tuple[list[tuple[int, bool]], Mapping[str, int]]:
    """Insert jobs in one statement. Returns what `enqueue` does, and how many of each kind are due now."""
    _admit(kinds, Counter([job.kind for job in new]), lambda: _count_created(new))
    rows = [{**job._asdict(), **_moments(job), "key": job.key or None} for job in new]
    ids: list[int | None] = [row["id"] for row in run("enqueue", rows=rows)]
    kinds.open_gates({(job.kind, job.group) for job in new if job.group}, {job.kind for job in new})
    existing = _existing({(job.kind, job.key) for job, job_id in zip(new, ids, strict=True) if job_id is None})
    due = Counter(job.kind for job, job_id in zip(new, ids, strict=True) if job_id is not None and not job.run_at)
    return [
        (existing[(job.kind, job.key)], False) if job_id is None else (job_id, True)
        for job, job_id in zip(new, ids, strict=True)
    ], due


def _moments(job: NewJob) -> dict[str, str | None]:
    moments = {"run_at": job.run_at, "scheduled_for": job.scheduled_for}
    return {name: None if at is None else at.isoformat() for name, at in moments.items()}


def _existing(keys: Collection[tuple[str, str | None]]) -> dict[tuple[str, str | None], int]:
    """The jobs that have these keys of their kinds."""
    existing: dict[tuple[str, str | None], int] = {}
    for kind in {kind for kind, _ in keys}:
        jobs = Job.objects.filter(kind=kind, key__in=[key for k, key in keys if k == kind])
        existing |= {(kind, key): job_id for key, job_id in jobs.values_list("key", "id")}
    return existing


def _count_created(new: Sequence[NewJob]) -> Counter[str]:
    keys = {(job.kind, job.key) for job in new if job.key}
    created = Counter(kind for kind, _ in keys - _existing(keys).keys())
    return created + Counter(job.kind for job in new if not job.key)


def _copy(rows: Rows, max_attempts: int, *, ids: bool) -> Enqueued:
    """Copy any number of jobs without keys into the table of jobs."""
    now = _database_time()
    new = [row["id"] for row in run("reserve", count=rows.count)] if ids else []
    blocks = (fill_defaults(block, now=now, max_attempts=b"%d" % max_attempts) for block in rows.blocks())
    if ids:
        numbers = iter(new)
        _copy_blocks("copy_numbered", (prepend_ids(block, numbers) for block in blocks))
    else:
        _copy_blocks("copy", blocks)
    return Enqueued(rows.count, 0, [(job_id, True) for job_id in new] if ids else None)


def _insert_incoming(rows: Rows, kinds: Kinds, *, ids: bool) -> Enqueued:
    """Insert any number of jobs through a temporary table: their keys may exist already."""
    run("incoming")
    _copy_blocks("copy_incoming", rows.blocks())
    _admit(kinds, rows.kinds, lambda: Counter({row["kind"]: row["n"] for row in run("incoming_new")}))
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
        # Dropped here and not only at commit: the caller's transaction may enqueue again.
        cursor.execute("DROP TABLE pg_temp.incoming")
    return Enqueued(created, rows.count - created, jobs)


def _copy_blocks(name: str, blocks: Iterator[bytes]) -> None:
    """Run a named `COPY` for these blocks of rows, once for each `COPY_BLOCKS` of them."""
    while first := next(blocks, None):
        with (
            connection.wrap_database_errors,
            connection.cursor() as cursor,
            cursor.copy(SQL.text(name)) as copy,
        ):
            for block in chain([first], islice(blocks, COPY_BLOCKS - 1)):
                copy.write(block)


def _database_time() -> bytes:
    """The database's time, as `COPY` reads it."""
    return bytes(database_now().isoformat(), "ascii")


@contextmanager
def _immediate_constraints() -> Iterator[None]:
    """Check deferred constraints after each statement: until commit PostgreSQL would keep each new row in memory."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        yield
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
