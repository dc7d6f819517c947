"""Every transition of a job, once. This is the only module that writes job state.

A verb takes a set of jobs and returns what it changed. Its whole condition stands in the `WHERE` of its `UPDATE`, so
what came back is what happened; nothing is read first and saved later. Locks are always taken in the order jobs (by
id), then bots; a claim locks its bot first, which is safe because it never waits for a job. Locks are `NO KEY` ones:
at each commit PostgreSQL looks at the rows that new events and `stuck_job` point to, in an order nobody chooses, and
that look waits for a plain `FOR UPDATE` but not for these. Only `prune` takes that one: what it locks is deleted.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import psycopg
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import OperationalError, connection, transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.db.models.functions import Coalesce, Now
from psycopg.errors import DeadlockDetected, LockNotAvailable, SerializationFailure

from bots import deeds, health
from bots.conditions import among, unplanned
from bots.models import MAX_CLAIM, Bot
from bots.states import HealthStatus
from jobs import backoff, trail, waiting
from jobs.errors import InstanceReplaced, LeaseLost, NotFound
from jobs.floors import Floors, Look, Place
from jobs.models import Job, JobEvent, JobKind
from jobs.queries import past_a_limit, run_limit
from jobs.rows import BLOCK_BYTES, BLOCK_ROWS, Rows, filled, row_of, with_ids
from jobs.rows import NewJob as NewJob  # what producers hand to `enqueue`
from jobs.sql import numbered, statement
from jobs.states import CANCELLABLE, HELD, RETRYABLE, Actor, JobStatus, Verb
from jobs.together import GoAlone, Together

if TYPE_CHECKING:
    from django.db.backends.postgresql.base import DatabaseWrapper

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
class By:
    """Who does it: an operator (by user name), a bot, or the sweep."""

    actor: Actor
    name: str
    bot_id: int | None = None

    @classmethod
    def operator(cls, user: AbstractBaseUser) -> "By":
        return cls(Actor.OPERATOR, user.get_username())

    @classmethod
    def bot(cls, bot: Bot) -> "By":
        return cls(Actor.BOT, bot.name, bot.pk)


#: How many bots a process remembers something of.
MOST_REMEMBERED = 100_000

SWEEP = By(Actor.SWEEP, "sweep_stuck")


@dataclass(frozen=True)
class Change:
    """One job that a verb changed.

    `bot` and `bot_name` are who held it; `due`: its time to run has come; `held_for` is in seconds.
    """

    id: int
    attempt: int
    previous_status: str
    status: str
    bot: int | None
    bot_name: str | None
    kind: str
    due: bool
    held_for: float | None


@dataclass(frozen=True)
class Claimed:
    """One job as its new holder gets it."""

    id: int
    kind: str
    attempt: int
    max_attempts: int
    payload: Any
    priority: int
    key: str | None
    run_at: datetime
    deadline_at: datetime


@dataclass(frozen=True)
class Renewed:
    """One lease that was started or renewed."""

    id: int
    attempt: int
    status: str
    deadline_at: datetime


@dataclass(frozen=True)
class Outcome:
    """What a bot's reports came to: leases accepted (now, or the same report before), and why others were not."""

    accepted: list[int]
    rejected: dict[int, LeaseLost | NotFound]

    def only(self, job_id: int) -> None:
        """Raise what was wrong with this one, if anything was."""
        if job_id in self.rejected:
            raise self.rejected[job_id]


@dataclass(frozen=True)
class Report:
    """What a bot says of one lease."""

    id: int
    attempt: int
    result: Any = None
    error: str = ""
    retry: bool = True
    progress: int | None = None
    note: str | None = None


def _run(name: str, **params: Any) -> list[dict[str, Any]]:
    """Run a named statement; one dict a row."""
    if "rows" in params:
        params["rows"] = json.dumps(params["rows"], allow_nan=False)
    with connection.cursor() as cursor:
        cursor.execute(statement(name), params)
        if cursor.description is None:
            return []
        columns = [column.name for column in cursor.description]
        rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    return rows


class _Turned(NamedTuple):
    """One row of what the function in `exchange.sql` returns, in its order."""

    turn: int
    plain: bool
    takes: str | None
    kinds: list[str] | None
    room: bool
    paused: bool
    restart: bool
    jobs: str
    n: int
    found_all: int
    wanted_all: int
    took: float | None
    at: str
    last_priority: int | None
    last_run_at: str | None
    last_id: int | None


def _call_exchange(**params: Any) -> list[_Turned]:
    """Call it as cheaply as can be: this is what bots do all day.

    Outside a transaction a connection is taken from Django's pool for just this statement, and Django's own, with all
    that it does when it is opened and closed for a request, is left alone.
    """
    text, names = numbered("turn")
    database = cast("DatabaseWrapper", connection)
    pool = None if connection.connection is not None else database.pool
    if connection.in_atomic_block:
        # What fails here must leave the caller's transaction as it was.
        with transaction.atomic(), connection.wrap_database_errors:
            return _fetch_turned(connection.connection, text, [params[name] for name in names])
    with connection.wrap_database_errors:
        if pool is None:
            connection.ensure_connection()
            return _fetch_turned(connection.connection, text, [params[name] for name in names])
        pool.open()
        with pool.connection() as fresh:
            # What is raised here is rolled back by the pool.
            if not fresh.autocommit:
                fresh.autocommit = True
            return _fetch_turned(fresh, text, [params[name] for name in names])


def _fetch_turned(raw: "psycopg.Connection[Any]", text: str, params: list[Any]) -> list[_Turned]:
    with psycopg.RawCursor(raw) as cursor:
        cursor.execute(text, params)
        return [_Turned(*row) for row in cursor.fetchall()]


# --- Producers ------------------------------------------------------------------------------------------------


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
    attempts = {row["name"]: row["max_attempts"] for row in _run("kinds", names=names)} if names else {}
    if len(attempts) < len(names):
        # In their order, so that two producers with the same new kinds cannot wait for each other.
        JobKind.objects.bulk_create([JobKind(name=n) for n in names if n not in attempts], ignore_conflicts=True)
        attempts = {row["name"]: row["max_attempts"] for row in _run("kinds", names=names)}
    return attempts


def _add(new: Sequence[NewJob]) -> tuple[list[tuple[int, bool]], Mapping[str, int]]:
    """A few jobs, in one statement. Returns what `enqueue` does, and how many of each kind are due now."""
    rows = [
        {**job._asdict(), "run_at": job.run_at.isoformat() if job.run_at else None, "key": job.key or None}
        for job in new
    ]
    ids: list[int | None] = [row["id"] for row in _run("enqueue", rows=rows)]
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
    new = [row["id"] for row in _run("reserve", count=rows.count)] if ids else []
    blocks = (filled(block, now=now, max_attempts=b"%d" % max_attempts) for block in rows.blocks())
    if ids:
        numbers = iter(new)
        _write("copy_numbered", (with_ids(block, numbers) for block in blocks))
    else:
        _write("copy", blocks)
    return Enqueued(rows.count, 0, [(job_id, True) for job_id in new] if ids else None)


def _add_incoming(rows: Rows, *, ids: bool) -> Enqueued:
    """Any number of jobs, by way of a table of their own: some may be there already."""
    _run("incoming")
    _write("copy_incoming", rows.blocks())
    created = 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_size('pg_temp.incoming') / current_setting('block_size')::integer")
        pages = int(cursor.fetchone()[0])
        by_key = pages <= INCOMING_PAGES and rows.count <= SORTED_ROWS
        for first in range(0, pages, INCOMING_PAGES):
            params = {"first": first, "end": first + INCOMING_PAGES, "by_key": by_key}
            cursor.execute(statement("enqueue_incoming"), params)
            created += cursor.rowcount
        jobs = [(row["id"], row["created"]) for row in _run("incoming_ids")] if ids else None
        # Not only at the commit: the caller's transaction may go on, and enqueue again.
        cursor.execute("DROP TABLE pg_temp.incoming")
    return Enqueued(created, rows.count - created, jobs)


def _write(name: str, blocks: Iterator[bytes]) -> None:
    """Run a named `COPY` with these blocks of rows; more than once when they are many."""
    while first := next(blocks, None):
        with (
            connection.wrap_database_errors,
            connection.cursor() as cursor,
            cursor.copy(statement(name)) as copy,
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


# --- Bots -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wanted:
    """What a bot asks for: at most `limit` jobs, of these kinds (None: any it takes), started or only claimed."""

    limit: int = 1
    kinds: Collection[str] | None = None
    start: bool = True


@dataclass(frozen=True)
class Turn:
    """A bot's whole turn: what it says of the leases it holds, and what it asks for. A job is named once at most."""

    completed: Sequence[Report] = ()
    failed: Sequence[Report] = ()
    heartbeats: Sequence[Report] = ()
    claim: Wanted | None = None

    @property
    def ids(self) -> list[int]:
        """The jobs it names, in order."""
        return sorted(report.id for reports in (self.completed, self.failed, self.heartbeats) for report in reports)


@dataclass(frozen=True)
class Exchanged:
    """What a turn came to. `room`: the bot could have got jobs, had there been any for it."""

    accepted: list[int]
    rejected: dict[int, LeaseLost | NotFound]
    jobs: list[Claimed]
    room: bool


def exchange(bot: Bot, turn: Turn, *, instance: str = "") -> Exchanged:
    """A bot's whole turn in one transaction, as if it had made each call by itself: reports first, then the claim.

    InstanceReplaced when it claims and a newer process of the bot is alone; then nothing of it was done.
    """
    by, jobs, room = By.bot(bot), list[Claimed](), False
    with transaction.atomic():
        # All of them first and in order: each report locks its bot after its jobs, and the next one more jobs.
        list(Job.objects.filter(pk__in=turn.ids).order_by("pk").select_for_update(no_key=True).values_list("pk"))
        outcomes = [
            verb(reports, by=by) for verb, reports in ((complete, turn.completed), (fail, turn.failed)) if reports
        ]
        if turn.heartbeats:
            outcomes.append(heartbeat(turn.heartbeats, by=by)[1])
        if turn.claim is not None:
            jobs, room = _claim(bot, turn.claim, instance)
    accepted = [job_id for outcome in outcomes for job_id in outcome.accepted]
    return Exchanged(accepted, {k: v for outcome in outcomes for k, v in outcome.rejected.items()}, jobs, room)


@dataclass(frozen=True)
class PlainTurn:
    """A turn in which nothing was out of the ordinary: every report holds.

    `jobs` are the claimed ones, as a JSON list; `kinds` those the claim was for (None: any); `room`: the bot could
    have got jobs, had there been any for it.
    """

    jobs: str
    claimed: int
    kinds: tuple[str, ...] | None
    room: bool
    paused: bool
    restart: bool


def claim(
    bot: Bot, *, limit: int = 1, kinds: Collection[str] | None = None, start: bool = True, instance: str = ""
) -> list[Claimed]:
    """The next due jobs for `bot`, at most `limit`: priority first, then age.

    None for a paused or quarantined bot, none of a paused kind, only kinds the bot takes, and never more than its
    capacity. InstanceReplaced when a newer process of the bot is alone.
    """
    return _claim(bot, Wanted(limit, kinds, start), instance)[0]


def _claim(bot: Bot, ask: Wanted, instance: str) -> tuple[list[Claimed], bool]:
    """The claimed jobs, and whether this bot could have got any at all."""
    turn = _exchange_alone(_Saying(_said(ask, instance, bot=bot), None, tuple(bot.kinds), _asked(ask)))
    if turn is None:
        # Also when a newer process said hello while this call waited for its bot.
        newer = Bot.objects.values_list("instance", flat=True).get(pk=bot.pk)
        raise InstanceReplaced(
            f"Bot {bot.name} was started again as {newer!r}, alone. This process, {instance!r}, gets no more jobs."
        )
    moments = ("run_at", "deadline_at")
    jobs = [job | {name: datetime.fromisoformat(job[name]) for name in moments} for job in json.loads(turn.jobs)]
    return [Claimed(**job) for job in jobs], turn.room


def exchange_plainly(
    digest: bytes,
    ask: Wanted | None,
    *,
    done: str | None = None,
    failed: Sequence[Report] = (),
    beats: str | None = None,
    instance: str = "",
) -> PlainTurn | None:
    """The same as `exchange` in one statement, for the bot with this token, when nothing is out of the ordinary.

    `done` and `beats` are JSON lists of reports, `failed` are failures, all checked before. None, and nothing was
    changed, when something needs more than that: an unknown token, a lease that was lost, a bot that is unwell, a
    process that was replaced. Then `exchange` is the way. Turns of several bots that come at the same time are one
    statement (jobs/together.py).
    """
    takes = _takes.get(digest)
    if failed and trail.says(Actor.BOT, Verb.FAIL):
        # Each would have a line in the log, which the function knows nothing of.
        return None
    bad = json.dumps([_failing(report) for report in failed]) if failed else None
    text = _said(ask, instance, digest=digest, done=done, failed=bad, beats=beats)
    asked = _asked(ask)
    saying = _Saying(text, digest, takes or (), asked)
    if ask and ask.limit > FEW and not connection.in_atomic_block:
        # Whoever has waited long goes on all the same: those before it may wait for a lock that is theirs alone.
        mine = _large.acquire(timeout=PATIENCE)
        try:
            return _exchange_alone(saying)
        finally:
            if mine:
                _large.release()
    if takes is None or len(text) > SMALL or connection.in_atomic_block:
        return _exchange_alone(saying)
    return _together.call((takes, asked), digest, saying)


#: Where this process last found pending jobs (jobs/floors.py), and the kinds its bots took when they last called, which
#: says whose floors are tried and whose turns go together.
floors = Floors()
_takes: dict[bytes, tuple[str, ...]] = {}
#: Turns go together when what each says has at most so many bytes, and it asks for at most so many jobs …
SMALL, FEW = 8192, 25
#: … at most so many of them, and when they need not stand in line for longer than this, in seconds.
MOST_TURNS, PATIENCE = 32, 0.1
#: Turns that ask for more jobs than `FEW` are each a call; with more of them at once each only takes longer.
LARGE_AT_ONCE = 4
_large = threading.BoundedSemaphore(LARGE_AT_ONCE)


class _Saying(NamedTuple):
    """A turn on its way to the function in `exchange.sql`: what it says as JSON, who says it, and which kinds."""

    text: str
    digest: bytes | None
    takes: tuple[str, ...]
    asked: tuple[str, ...] | None


def _said(
    ask: Wanted | None,
    instance: str,
    *,
    bot: Bot | None = None,
    digest: bytes = b"",
    done: str | None = None,
    failed: str | None = None,
    beats: str | None = None,
) -> str:
    """One turn as the function takes it; `done`, `failed` and `beats` are JSON already."""
    who = f'"digest":"{digest.hex()}"' if bot is None else f'"bot":{bot.pk}'
    asks = (
        f'"asks":true,"most":{min(ask.limit, MAX_CLAIM)},"starts":{"true" if ask.start else "false"}'
        if ask
        else '"asks":false,"most":0,"starts":true'
    )
    given = (("done", done), ("failed", failed), ("beats", beats))
    reports = "".join([f',"{name}":{text}' for name, text in given if text])
    return f'{{{who}{reports},{asks},"life":{json.dumps(instance)}}}'


def _asked(ask: Wanted | None) -> tuple[str, ...] | None:
    return None if ask is None or ask.kinds is None else tuple(sorted(set(ask.kinds)))


def _exchange_alone(saying: _Saying) -> PlainTurn | None:
    return _exchange_together([saying])[0]


def _exchange_together(sayings: Sequence[_Saying]) -> list[PlainTurn | None]:
    try:
        return _exchange(sayings)
    except OperationalError as error:
        # Nothing of any turn was done. One among several may have been in nobody's way but its own.
        if not isinstance(error.__cause__, SerializationFailure | DeadlockDetected | LockNotAvailable):
            raise
        if len(sayings) > 1:
            raise GoAlone from error
        if isinstance(error.__cause__, LockNotAvailable):
            raise
        return [None]


_together = Together(_exchange_together, most=MOST_TURNS, patience=PATIENCE)


def _exchange(sayings: Sequence[_Saying]) -> list[PlainTurn | None]:
    """Turns that ask for the same kinds, in one statement. None for each that is not plain."""
    _, _, takes, asked = sayings[0]
    now = time.monotonic()
    place = floors.start((takes, asked), now)
    ranks = sorted(place.ranks.items(), reverse=True)
    rows = _call_exchange(
        turns=f"[{','.join(saying.text for saying in sayings)}]",
        bot_kinds=list(takes),
        asked=None if asked is None else list(asked),
        priorities=[priority for priority, _ in ranks],
        run_ats=[p.run_at for _, p in ranks],
        ids=[p.id for _, p in ranks],
        run_within=settings.DEFAULT_RUN_WITHIN,
        seen_every=settings.LAST_SEEN_EVERY,
        slow=settings.CLAIM_SLOW,
    )
    turned: list[PlainTurn | None] = [None] * len(sayings)
    for row in rows:
        digest = sayings[row.turn - 1].digest
        if digest is not None:
            _remember(digest, takes if row.takes is None else tuple(json.loads(row.takes)))
        if row.plain:
            kinds = None if row.kinds is None else tuple(row.kinds)
            turned[row.turn - 1] = PlainTurn(row.jobs, row.n, kinds, row.room, row.paused, row.restart)
    looked = rows[-1] if rows else None
    if looked is not None and looked.took is not None:
        found = None
        if looked.last_id is not None and looked.last_run_at is not None:
            found = Place(looked.last_run_at, looked.last_id)
        look = Look(looked.found_all, looked.wanted_all, looked.last_priority, found, looked.at, looked.took)
        floors.note((takes, asked), place, look, now, settings.CLAIM_SLOW.total_seconds())
    return turned


def _remember(digest: bytes, takes: tuple[str, ...]) -> None:
    if _takes.get(digest) != takes:
        if len(_takes) >= MOST_REMEMBERED:
            _takes.clear()
        _takes[digest] = takes


def start(reports: Sequence[Report], *, by: By) -> tuple[list[Renewed], Outcome]:
    """Claimed → processing. A job that is processing under the same lease stays so."""
    return _renew("start", [{"id": r.id, "attempt": r.attempt} for r in reports], by)


def heartbeat(reports: Sequence[Report], *, by: By) -> tuple[list[Renewed], Outcome]:
    """Renew leases, with progress (0–100) and a note where given; a bot that was stuck on one of them is well again."""
    rows = [{"id": r.id, "attempt": r.attempt, "progress": r.progress, "note": r.note} for r in reports]
    return _renew("heartbeat", rows, by)


def _renew(name: str, rows: list[dict[str, Any]], by: By) -> tuple[list[Renewed], Outcome]:
    with transaction.atomic():
        renewed = [Renewed(**r) for r in _run(name, rows=rows, bot=by.bot_id, run_within=settings.DEFAULT_RUN_WITHIN)]
        if renewed:
            regrade(Bot.objects.stuck().filter(pk__in=[by.bot_id]))
        done = {lease.id for lease in renewed}
        lost = _lost([row for row in rows if row["id"] not in done], by)
    return renewed, Outcome(sorted(done), lost)


def complete(reports: Sequence[Report], *, by: By) -> Outcome:
    """Leases end well, with their results. A result that comes too late is kept as an event, once."""
    rows = [{"id": r.id, "attempt": r.attempt, "result": r.result} for r in reports]
    with transaction.atomic():
        done = {row["id"] for row in _run("complete", rows=rows, bot=by.bot_id)}
        _settle([by.bot_id] if done else [])
        rest = [report for report in reports if report.id not in done]
        lost = _lost([{"id": r.id, "attempt": r.attempt} for r in rest], by, said=Verb.LATE)
        again = {r.id for r in rest if r.id not in lost}
        _keep_late([r for r in rest if isinstance(lost.get(r.id), LeaseLost)], "complete", by)
    return Outcome(sorted(done | again), lost)


def fail(reports: Sequence[Report], *, by: By) -> Outcome:
    """Leases end badly: back to pending after a backoff while attempts are left and `retry`, else failed."""
    rows = [_failing(r) | {"bot": by.bot_id, "reason": r.error} for r in reports]
    with transaction.atomic():
        done = {change.id for change in _end(Verb.FAIL, rows, HELD, by)}
        rest = [report for report in reports if report.id not in done]
        lost = _lost([{"id": r.id, "attempt": r.attempt} for r in rest], by, said=Verb.FAIL)
        again = {r.id for r in rest if r.id not in lost}
        _keep_late([r for r in rest if isinstance(lost.get(r.id), LeaseLost)], "fail", by)
    return Outcome(sorted(done | again), lost)


def _failing(r: Report) -> dict[str, Any]:
    """A failure as the statements take it; `wait` is in units of the kind's backoff."""
    return {"id": r.id, "attempt": r.attempt, "error": r.error, "retry": r.retry, "wait": backoff.factor(r.attempt)}


def hand_back(reports: Sequence[Report], *, by: By, reason: str = "") -> Outcome:
    """A bot releases leases of its own, at shutdown for instance. Not counted."""
    reason = reason or "handed back by the bot"
    rows = [{"id": r.id, "attempt": r.attempt, "bot": by.bot_id, "reason": reason} for r in reports]
    with transaction.atomic():
        done = {change.id for change in _end(Verb.RELEASE, rows, HELD, by)}
        rest = [{"id": r.id, "attempt": r.attempt} for r in reports if r.id not in done]
        lost = _lost(rest, by, said=Verb.RELEASE)
    again = {row["id"] for row in rest if row["id"] not in lost}
    return Outcome(sorted(done | again), lost)


def see(bot: Bot, *, version: str | None = None, always: bool = False) -> None:
    """A bot has called. `always` writes even when the last sight is recent."""
    _run("see", bot=bot.pk, version=version, always=always or version is not None, every=settings.LAST_SEEN_EVERY)


def hello(bot: Bot, *, instance: str, version: str | None = None, alone: bool = True) -> list[Change]:
    """A bot process starts. With `alone`, what the bot's earlier lives still held goes back at once."""
    by = By.bot(bot)
    with transaction.atomic():
        changes = []
        if alone:
            # Under the lock a claim takes: a claim by an older life either is seen below or is refused from here on.
            Bot.objects.select_for_update(no_key=True).get(pk=bot.pk)
            Bot.objects.filter(pk=bot.pk).update(instance=instance, restart_requested_at=None)
        else:
            Bot.objects.filter(pk=bot.pk).update(instance="", restart_requested_at=None)
        see(bot, version=version, always=True)
    if alone:
        reason = f"bot {bot.name} was started again; an earlier process of it held this job"
        earlier = Job.objects.held_by(bot).exclude(instance=instance).values_list("id", "attempt")
        rows = [{"id": i, "attempt": a, "bot": bot.pk, "reason": reason} for i, a in earlier]
        with transaction.atomic():
            changes = _end(Verb.RELEASE, rows, HELD, by) if rows else []
    return changes


def take_restart(bot: Bot, instance: str) -> bool:
    """Whether an operator has asked this bot to restart. A bot that never says hello is told once."""
    if bot.restart_requested_at is None:
        return False
    if not instance:
        Bot.objects.filter(pk=bot.pk, restart_requested_at=bot.restart_requested_at).update(restart_requested_at=None)
    return True


# --- Operators ------------------------------------------------------------------------------------------------


def release(job_ids: Iterable[int], *, by: By, reason: str = "") -> list[Change]:
    """Leases are given back unfinished, whoever holds them: pending at once, not counted, the bots well again."""
    return _end_all(Verb.RELEASE, job_ids, HELD, by, reason)


def cancel(job_ids: Iterable[int], *, by: By, reason: str = "") -> list[Change]:
    """Jobs end on purpose. A bot that holds one learns so at its next heartbeat or report."""
    return _end_all(Verb.CANCEL, job_ids, CANCELLABLE, by, reason)


def retry(job_ids: Iterable[int], *, by: By, reason: str = "") -> list[Change]:
    """Failed and cancelled jobs go back to pending with all their attempts before them."""
    return _turn("retry", job_ids, by, reason, **{"from": list(RETRYABLE)})


def accept(job_ids: Iterable[int], *, by: By, reason: str = "") -> list[Change]:
    """Pending jobs take the late results kept for them, and so need not be done twice."""
    return _turn("accept", job_ids, by, reason)


def prioritise(job_ids: Iterable[int], *, priority: int, by: By, reason: str = "") -> list[Change]:
    """Jobs that have not ended get this priority; those that have it already are left alone."""
    return _turn("prioritise", job_ids, by, reason, priority=priority, **{"from": list(CANCELLABLE)})


def restart(bots: QuerySet[Bot], *, by: By, reason: str = "") -> tuple[int, list[Change]]:
    """What these bots hold goes back, and each is told to restart at its next call. Returns (bots, jobs)."""
    with transaction.atomic():
        ids = list(bots.values_list("pk", flat=True))
        held = list(Job.objects.held().filter(claimed_by__in=ids).values_list("id", flat=True))
        changes = release(held, by=by, reason=reason or "its bot was told to restart")
        names = list(bots.order_by("pk").select_for_update(no_key=True).values_list("pk", "name"))
        told = Bot.objects.filter(pk__in=ids).update(restart_requested_at=Now())
        deeds.tell("restart", [{"bot": name, "bot_id": pk} for pk, name in names], by=by.name, reason=reason)
    return told, changes


# --- The sweep ------------------------------------------------------------------------------------------------


def expire(
    job_ids: Iterable[int], *, by: By, reasons: dict[int, str], last: Mapping[int, str] | None = None
) -> list[Change]:
    """Leases nobody works on end, counted: pending at once while attempts are left, else failed.

    `last` has jobs that get no more attempts, whatever is left, each with its error.
    """
    last = last or {}
    rows = [
        {"id": i, "reason": reasons[i], "error": last.get(i, f"expired: {reasons[i]}"), "retry": i not in last}
        for i in sorted(set(job_ids))
    ]
    return _end(Verb.EXPIRE, rows, HELD, by, keep_health=True) if rows else []


def give_up(job_ids: Iterable[int], *, by: By, reasons: dict[int, str]) -> list[Change]:
    """Leases nobody works on end as failed, because their kind says so."""
    rows = [
        {"id": i, "reason": reasons[i], "error": f"given up: {reasons[i]}", "retry": False}
        for i in sorted(set(job_ids))
    ]
    return _end(Verb.FAIL, rows, HELD, by, keep_health=True) if rows else []


def flag(job_ids: Iterable[int], *, by: By, reasons: dict[int, str]) -> int:
    """Say in the history, once for each attempt, that a lease is past all its limits. Changes nothing else."""
    rows = [{"id": job_id, "reason": reasons[job_id]} for job_id in sorted(set(job_ids))]
    return len(_run("flag", rows=rows, actor=by.actor, by=by.name)) if rows else 0


def quarantine(reasons: Mapping[int, str]) -> None:
    """No new jobs for these bots (`{bot: why}`) until an operator clears them. The caller holds their row locks."""
    rows = [{"id": bot_id, "reason": reason} for bot_id, reason in reasons.items()]
    if rows:
        _run("quarantine", rows=rows)


def look_again(after: dict[int, timedelta]) -> None:
    """Set when the sweep looks at these leases next: so long from now. The caller holds their row locks."""
    rows = [{"id": job_id, "seconds": max(1, round(delay.total_seconds()))} for job_id, delay in after.items()]
    if rows:
        _run("look_again", rows=rows)


def prune(kind: str, *, until: datetime, since: datetime | None = None, most: int) -> tuple[int, datetime | None]:
    """The oldest finished jobs of a kind go, with their history: at most so many, that ended before `until`.

    Returns how many, and when the last of them ended: to go on from there, `since` then. A job that somebody has
    locked stays. See `jobs.pruning` for what must have been done before.
    """
    old = Job.objects.finished().filter(kind=kind, finished_at__lt=until).order_by("finished_at")
    if since is not None:
        old = old.filter(finished_at__gte=since)
    with transaction.atomic():
        # Locked in a statement of its own, and not a weak lock: nobody adds to their history from here on.
        rows = list(old.select_for_update(skip_locked=True).values_list("id", "finished_at")[:most])
        if rows:
            _run("prune", ids=[job_id for job_id, _ in rows])
    return len(rows), rows[-1][1] if rows else None


@dataclass(frozen=True)
class Watched:
    """One lease under its kind's limits and policies, as the sweep sees it."""

    lease: health.Lease
    limits: health.Limits
    bot_id: int
    attempt: int
    #: The job's attempts are used up when this one ends.
    last: bool
    when_silent: str
    when_overdue: str
    #: How long jobs of its kind take; None when not one has succeeded lately.
    usual: health.Usual | None

    @cached_property
    def grade(self) -> health.Grade:
        """What this lease says of its bot."""
        return health.grade(self.lease, self.limits, self.usual)


def watched(jobs: QuerySet[Job]) -> list[Watched]:
    """These leases (held jobs), with their ages by the database's clock; locked, where `jobs` locks."""
    # Columns and not instances, since there may be thousands and payloads are large; and ages, which come from
    # PostgreSQL as what they are, while each moment would have to be given a time zone first.
    ages = (Now() - F("claimed_at"), Now() - F("started_at"), Now() - Coalesce("heartbeat_at", "claimed_at"))
    used = F("attempt") - F("uncounted")
    rows = list(jobs.values_list("pk", "kind_id", "claimed_by_id", "attempt", "max_attempts", used, *ages))
    kinds = _kinds({row[1] for row in rows})
    return [
        Watched(
            health.Lease(pk, kind, claimed, running, silent),
            kinds[kind][0], bot, attempt, used >= most, *kinds[kind][1:],
        )
        for pk, kind, bot, attempt, most, used, claimed, running, silent in rows
    ]  # fmt: skip


def _kinds(names: set[str]) -> dict[str, tuple[health.Limits, str, str, health.Usual | None]]:
    """Limits and policies of these kinds, and how long their jobs usually take."""
    if not names:
        return {}
    limits = ("start_within", "heartbeat_within", run_limit())
    usual = ("learned__quick", "learned__jobs", "learned__under")
    rows = JobKind.objects.filter(name__in=names).values_list("name", *limits, "when_silent", "when_overdue", *usual)
    return {
        row[0]: (health.Limits(*row[1:4]), row[4], row[5], None if row[6] is None else health.Usual(*row[6:]))
        for row in rows
    }


def holding() -> Exists:
    """A condition on bots: those that hold any job."""
    return Exists(Job.objects.filter(claimed_by=OuterRef("pk")))


#: A bot's health: grade, reason and stuck job.
Health = tuple[str, str, int | None]


def locked(bots: QuerySet[Bot], *, wait: bool = True) -> dict[int, Health]:
    """Lock these bots, in order, and say how they are. Without `wait`, only those that nobody else has locked."""
    rows = bots.order_by("pk").select_for_update(no_key=True, skip_locked=not wait)
    return {row[0]: row[1:] for row in rows.values_list("pk", "health_status", "health_reason", "stuck_job_id")}


def regrade(bots: QuerySet[Bot], *, wait: bool = True) -> dict[int, tuple[str, str]]:
    """Grade bots by what they hold now. Returns `{id: (before, after)}` of those whose health changed.

    A bot that holds nothing is left alone: its last grade stands until it is seen (`see`) or settled. Without `wait`
    so is a bot whose row somebody else has locked.
    """
    with transaction.atomic():
        return regrade_locked(locked(bots, wait=wait))


def regrade_locked(before: dict[int, Health], seen: Collection[Watched] = ()) -> dict[int, tuple[str, str]]:
    """`regrade` for bots that this transaction has `locked`, in a statement that sees what others did until then.

    `seen` are leases of these bots that the caller has locked and just looked at; they are not read again.
    """
    after = _grades(list(before), seen)
    rows = [
        {"id": bot_id, "status": status, "reason": reason, "stuck_job": stuck}
        for bot_id, (status, reason, stuck) in after.items()
        if before[bot_id] != (status, reason, stuck)
    ]
    if rows:
        _run("grade", rows=rows)
    return {i: (before[i][0], str(now[0])) for i, now in after.items() if before[i][0] != now[0]}


def _grades(bot_ids: list[int], seen: Collection[Watched]) -> dict[int, Health]:
    """How those of these bots are that hold anything: as their worst lease is."""
    if not bot_ids:
        return {}
    # Only leases past a limit are read: where there are none, the bot is well, whatever it holds.
    grades: dict[int, list[health.Grade]] = {}
    stuck = Job.objects.filter(among("claimed_by", bot_ids), unplanned(past_a_limit())).order_by()
    if seen:
        stuck = stuck.exclude(among("pk", [watch.lease.job_id for watch in seen]))
    for watch in (*seen, *watched(stuck)):
        grades.setdefault(watch.bot_id, []).append(watch.grade)
    rest = set(bot_ids) - set(grades)
    if rest:
        for bot_id in Bot.objects.filter(among("pk", rest), holding()).values_list("pk", flat=True):
            grades[bot_id] = []
    found: dict[int, Health] = {}
    for bot_id, of_bot in grades.items():
        worst = health.worst(of_bot)
        if worst is None or worst.status == HealthStatus.NORMAL:
            found[bot_id] = (HealthStatus.NORMAL, "", None)
        else:
            found[bot_id] = (worst.status, worst.reason, worst.job_id)
    return found


# --- What the verbs share -------------------------------------------------------------------------------------


def _end_all(verb: Verb, job_ids: Iterable[int], sources: Sequence[JobStatus], by: By, reason: str) -> list[Change]:
    rows = [{"id": job_id, "reason": reason} for job_id in sorted(set(job_ids))]
    return _end(verb, rows, sources, by) if rows else []


def _end(
    verb: Verb, rows: list[dict[str, Any]], sources: Sequence[JobStatus], by: By, *, keep_health: bool = False
) -> list[Change]:
    with transaction.atomic():
        for row in rows:
            row["reason"] = row.get("reason") or ""
        params = {"from": list(sources), "verb": verb, "actor": by.actor, "by": by.name}
        changes = [Change(**row) for row in _run("end", rows=rows, **params)]
        _announce(changes)
        trail.tell(verb, by, changes, {row["id"]: row["reason"] for row in rows})
        _settle({change.bot for change in changes}, keep_health=keep_health)
    return changes


def _turn(name: str, job_ids: Iterable[int], by: By, reason: str, **params: Any) -> list[Change]:
    ids = sorted(set(job_ids))
    with transaction.atomic():
        changes = [Change(**r) for r in _run(name, ids=ids, actor=by.actor, by=by.name, reason=reason, **params)]
        _announce(changes)
        trail.tell(name, by, changes, dict.fromkeys(ids, reason))
    return changes


def _announce(changes: Iterable[Change]) -> None:
    """Tell those who wait for jobs of what is pending again. What is due only later, they look for by themselves."""
    waiting.announce(Counter(c.kind for c in changes if c.status == JobStatus.PENDING and c.due))


def _settle(bot_ids: Iterable[int | None], *, keep_health: bool = False) -> None:
    """Make bots' rows true again after their leases changed. The jobs are locked already; see the lock order above."""
    ids = sorted({bot_id for bot_id in bot_ids if bot_id is not None})
    if not ids:
        return
    # Locked in a statement of its own: the next one must see what others did to these bots' jobs meanwhile.
    locked = Bot.objects.filter(among("pk", ids)).order_by("pk").select_for_update(no_key=True)
    rows = list(locked.values_list("pk", "health_status"))
    _run("settle", bots=ids, keep=keep_health)
    unwell = [bot_id for bot_id, status in rows if status != HealthStatus.NORMAL]
    if unwell and not keep_health:
        # It may hold another job that is stuck, and then it is not well (DESIGN 4.6).
        regrade(Bot.objects.filter(among("pk", unwell)))


def _lost(rows: list[dict[str, Any]], by: By, said: Verb | None = None) -> dict[int, LeaseLost | NotFound]:
    """Why these leases are not this bot's: an error for each, or none where it `said` the same before."""
    errors: dict[int, LeaseLost | NotFound] = {}
    for row in _run("lost", rows=rows, bot=by.bot_id) if rows else []:
        if not row["found"]:
            errors[row["id"]] = NotFound(f"There is no job {row['id']}.")
            continue
        completed = row["finished_by_id"] == by.bot_id and row["job_attempt"] == row["attempt"]
        if said == Verb.LATE and completed and row["status"] == JobStatus.SUCCEEDED:
            continue
        if said is not None and row["verb"] == said and row["actor"] == Actor.BOT:
            continue
        errors[row["id"]] = _lease_lost(row, completed, by)
    trail.refused(by, errors)
    return errors


def _lease_lost(row: dict[str, Any], completed: bool, by: By) -> LeaseLost:
    lease = f"attempt {row['attempt']} of job {row['id']}"
    extra = {"job_id": row["id"], "attempt": row["attempt"], "cancel": row["verb"] == Verb.CANCEL}
    if row["verb"]:
        past = {"release": "released", "expire": "expired", "fail": "failed", "cancel": "cancelled"}[row["verb"]]
        who = f"{row['actor']} {row['by']}".strip() if row["actor"] != Actor.SWEEP else "the sweep"
        why = row["reason"] or "no reason given"
        return LeaseLost(
            f"{lease.capitalize()} was {past} by {who} at {row['at'].isoformat()}: {why}. Nothing was changed.",
            ended_by=who, ended_at=row["at"].isoformat(), reason=row["reason"], verb=row["verb"], **extra,
        )  # fmt: skip
    if completed:
        at = row["finished_at"].isoformat() if row["finished_at"] else None
        who = f"bot {by.name}"
        return LeaseLost(
            f"{lease.capitalize()} was completed by {who} at {at}. Nothing was changed.",
            ended_by=who, ended_at=at, reason="completed", verb="complete", **extra,
        )  # fmt: skip
    return LeaseLost(
        f"Bot {by.name} does not hold {lease}. The job is {row['status']} at attempt {row['job_attempt']}.",
        ended_by=None, ended_at=None, reason="never held by this bot", verb=None, **extra,
    )  # fmt: skip


def _keep_late(reports: list[Report], outcome: str, by: By) -> None:
    """Keep what came after a lease had ended, when the lease was this bot's."""
    held = JobEvent.objects.filter(job__in=[r.id for r in reports], bot=by.bot_id).exclude(verb=Verb.LATE)
    leases = set(held.values_list("job_id", "attempt")) if reports else set()
    rows = [
        {
            "id": r.id,
            "attempt": r.attempt,
            "reason": "a result came after the lease had ended" if outcome == "complete" else r.error,
            "detail": {"outcome": outcome} | ({"result": r.result} if outcome == "complete" else {"error": r.error}),
        }
        for r in reports
        if (r.id, r.attempt) in leases
    ]
    if rows:
        _run("late", rows=rows, bot=by.bot_id, by=by.name)
