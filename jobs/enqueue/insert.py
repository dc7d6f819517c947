"""Insert jobs: a few in one statement, larger sets by COPY. All or none; creates kinds that are new."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TypeVar

from django.conf import settings
from django.db import OperationalError, connection, transaction
from psycopg.errors import DeadlockDetected

from bots.audit import COMMAND
from jobs.enqueue import keys, pending
from jobs.enqueue.copy import BLOCK_BYTES, BLOCK_ROWS, Rows, copy_blocks, fill_defaults, prepend_ids, row_of
from jobs.enqueue.incoming import Enqueued as Enqueued  # what comes of them
from jobs.enqueue.incoming import insert_incoming
from jobs.enqueue.kinds import Kinds, lock_kinds
from jobs.enqueue.new_job import NewJob as NewJob  # what producers hand to `enqueue`
from jobs.enqueue.statements import SQL, run
from jobs.errors import TooManyPending
from jobs.lifecycle import By, gates
from jobs.models import Job, JobKind
from jobs.states import Added
from jobs.turns import notifications
from jobsite.lib import outcomes
from jobsite.lib.clock import database_now

T = TypeVar("T")
#: From this number of jobs on `COPY` is faster than one statement.
COPY_FROM = 200
#: How often a transaction is tried that ends in a deadlock with another producer.
MAX_TRIES = 4
#: Who replaces jobs where nobody is named.
BY_COMMAND = By.operator(COMMAND)


def enqueue(new: Sequence[NewJob], *, by: By = BY_COMMAND) -> list[tuple[int, Added]]:
    """Add jobs, all or none. Returns `(id, what became of it)` for each, in order.

    Where a job has the key already that one is returned, and `by` replaces it if the new one says so. Of several with
    the same key the last counts. TooManyPending, here and in what follows, when too many would be pending.
    """
    if len(new) < COPY_FROM:
        return _retry_deadlocks(lambda: _insert({job.kind for job in new}, lambda kinds: _insert_few(new, kinds, by)))
    with Rows() as rows:
        for job in new:
            rows.add(job)
        return enqueue_rows(rows, ids=True, by=by).jobs or []


def enqueue_one(new: NewJob, *, by: By = BY_COMMAND) -> tuple[Job, Added]:
    """Add one job. Returns it, and what became of the new one.

    Nearly every one is a statement of its own. One whose key exists, or whose kind is new or has a bound, takes the
    way of several; it is read before the commit, after which nothing may fail.
    """
    job = _retry_deadlocks(lambda: _insert_one(new))
    if job is not None:
        if job.gated:
            gates.open_added([(new.kind, new.group)])
        notifications.announce({new.kind: int(not new.is_later)})
        return job, Added.CREATED

    def write(kinds: Kinds) -> tuple[tuple[Job, Added], Mapping[str, int]]:
        ((job_id, added),), due = _insert_few([new], kinds, by)
        return (Job.objects.select_related("claimed_by").get(pk=job_id), added), due

    return _retry_deadlocks(lambda: _insert({new.kind}, write))


def enqueue_within(new: Sequence[NewJob]) -> list[tuple[int, Added]]:
    """Add a few jobs in the caller's transaction, which goes on if they are refused. Returns what `enqueue` does."""
    jobs, due = _insert_few(new, lock_kinds(sorted({job.kind for job in new})), BY_COMMAND)
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


def enqueue_rows(rows: Rows, *, ids: bool = False, by: By = BY_COMMAND) -> Enqueued:
    """Add any number of jobs, all or none. With `ids` the result has `jobs`, in memory for all of them."""

    def write(kinds: Kinds) -> tuple[Enqueued, Mapping[str, int]]:
        with _immediate_constraints():
            differ = rows.by_kind and len(set(kinds.attempts.values())) > 1
            if rows.special or kinds.limited or kinds.dropping or differ:
                done = insert_incoming(rows, kinds.bounds, by, ids=ids)
            else:
                pending.figures.admit(kinds.bounds, rows.kinds)
                done = _copy(rows, max(kinds.attempts.values(), default=0), ids=ids)
        kinds.open_gates(rows.groups, rows.kinds)
        # How many of each kind are new is not known; these are upper bounds.
        return done, {kind: min(n, done.created) for kind, n in (rows.kinds - rows.later).items()}

    return _retry_deadlocks(lambda: _insert(rows.kinds, write))


def enqueue_ahead(jobs: Iterator[NewJob]) -> tuple[int, Iterator[NewJob]]:
    """Add jobs while they are read, up to the first with options, or of a kind that is new or has limits.

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
            if max_attempts is None or job.is_special:
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
        attempts.update(existing.plain)
        ahead = pending.Ahead(existing.bounds, new)
        with _immediate_constraints():
            copy_blocks("copy", blocks(ahead))
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


def _insert_few(new: Sequence[NewJob], kinds: Kinds, by: By) -> tuple[list[tuple[int, Added]], Mapping[str, int]]:
    """Insert a few jobs. Returns what `enqueue` does, and how many of each kind are due now."""
    named = [(job.kind, job.key) if job.key else None for job in new]
    last = keys.last_of_each(named)
    of_kinds = Counter([new[n].kind for n in last])
    pending.figures.admit_counted(kinds.bounds, of_kinds, lambda: _count_created([new[n] for n in last]))
    rows = [{**new[n]._asdict(), **_moments(new[n]), "key": new[n].key or None} for n in last]
    done = dict(zip(last, keys.insert_or_settle(rows, by), strict=True))
    kinds.open_gates({(job.kind, job.group) for job in new if job.group}, {job.kind for job in new})
    due = Counter(new[n].kind for n, (_, added) in done.items() if added == Added.CREATED and not new[n].is_later)
    of_key = {named[n]: job_id for n, (job_id, _) in done.items()}
    return [done.get(n) or (of_key[named[n]], Added.EXISTING) for n in range(len(new))], due


def _moments(job: NewJob) -> dict[str, str | None]:
    moments = {name: getattr(job, name) for name in ("run_at", "scheduled_for", "start_by")}
    return {name: None if at is None else at.isoformat() for name, at in moments.items()}


def _count_created(new: Sequence[NewJob]) -> Counter[str]:
    named = {(job.kind, job.key) for job in new if job.key}
    created = Counter(kind for kind, _ in named - keys.holders(named).keys())
    return created + Counter(job.kind for job in new if not job.key)


def _copy(rows: Rows, max_attempts: int, *, ids: bool) -> Enqueued:
    """Copy any number of jobs without options into the table of jobs."""
    now = _database_time()
    new = [row["id"] for row in run("reserve", count=rows.count)] if ids else []
    blocks = (fill_defaults(block, now=now, max_attempts=b"%d" % max_attempts) for block in rows.blocks())
    if ids:
        numbers = iter(new)
        copy_blocks("copy_numbered", (prepend_ids(block, numbers) for block in blocks))
    else:
        copy_blocks("copy", blocks)
    return Enqueued(rows.count, 0, jobs=[(job_id, Added.CREATED) for job_id in new] if ids else None)


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
