"""A bot's turn: claim, start, heartbeat, complete, fail, hand back, or all of them in one exchange."""

import json
import threading
import time
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import psycopg
from django.conf import settings
from django.db import OperationalError, connection, transaction
from psycopg.errors import DeadlockDetected, LockNotAvailable, SerializationFailure

from bots.models import MAX_CLAIM, Bot
from jobs import backoff
from jobs.errors import InstanceReplaced, LeaseLost
from jobs.lifecycle import audit
from jobs.models import Job
from jobs.states import HELD, Actor, Verb
from jobs.turns.combining import GoAlone, Together
from jobs.turns.frontier import Floors, Look, Place

if TYPE_CHECKING:
    from django.db.backends.postgresql.base import DatabaseWrapper
from jobs.lifecycle.holders import regrade, settle
from jobs.lifecycle.late import keep_late, lost_leases
from jobs.lifecycle.moves import end
from jobs.lifecycle.statements import SQL, run
from jobs.lifecycle.values import By, Claimed, Exchanged, Outcome, PlainTurn, Renewed, Report, Turn, Wanted

#: How many bots a process remembers something of.
MOST_REMEMBERED = 100_000


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
    text, names = SQL.numbered("turn")
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
    statement (jobs/turns/combining.py).
    """
    takes = _takes.get(digest)
    if failed and audit.logs(Actor.BOT, Verb.FAIL):
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


#: Where this process last found pending jobs (jobs/turns/frontier.py), and the kinds its bots took when they last
#: called, which says whose floors are tried and whose turns go together.
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
        renewed = [Renewed(**r) for r in run(name, rows=rows, bot=by.bot_id, run_within=settings.DEFAULT_RUN_WITHIN)]
        if renewed:
            regrade(Bot.objects.stuck().filter(pk__in=[by.bot_id]))
        done = {lease.id for lease in renewed}
        lost = lost_leases([row for row in rows if row["id"] not in done], by)
    return renewed, Outcome(sorted(done), lost)


def complete(reports: Sequence[Report], *, by: By) -> Outcome:
    """Leases end well, with their results. A result that comes too late is kept as an event, once."""
    rows = [{"id": r.id, "attempt": r.attempt, "result": r.result} for r in reports]
    with transaction.atomic():
        done = {row["id"] for row in run("complete", rows=rows, bot=by.bot_id)}
        settle([by.bot_id] if done else [])
        rest = [report for report in reports if report.id not in done]
        lost = lost_leases([{"id": r.id, "attempt": r.attempt} for r in rest], by, said=Verb.LATE)
        again = {r.id for r in rest if r.id not in lost}
        keep_late([r for r in rest if isinstance(lost.get(r.id), LeaseLost)], "complete", by)
    return Outcome(sorted(done | again), lost)


def fail(reports: Sequence[Report], *, by: By) -> Outcome:
    """Leases end badly: back to pending after a backoff while attempts are left and `retry`, else failed."""
    rows = [_failing(r) | {"bot": by.bot_id, "reason": r.error} for r in reports]
    with transaction.atomic():
        done = {change.id for change in end(Verb.FAIL, rows, HELD, by)}
        rest = [report for report in reports if report.id not in done]
        lost = lost_leases([{"id": r.id, "attempt": r.attempt} for r in rest], by, said=Verb.FAIL)
        again = {r.id for r in rest if r.id not in lost}
        keep_late([r for r in rest if isinstance(lost.get(r.id), LeaseLost)], "fail", by)
    return Outcome(sorted(done | again), lost)


def _failing(r: Report) -> dict[str, Any]:
    """A failure as the statements take it; `wait` is in units of the kind's backoff."""
    return {"id": r.id, "attempt": r.attempt, "error": r.error, "retry": r.retry, "wait": backoff.factor(r.attempt)}


def hand_back(reports: Sequence[Report], *, by: By, reason: str = "") -> Outcome:
    """A bot releases leases of its own, at shutdown for instance. Not counted."""
    reason = reason or "handed back by the bot"
    rows = [{"id": r.id, "attempt": r.attempt, "bot": by.bot_id, "reason": reason} for r in reports]
    with transaction.atomic():
        done = {change.id for change in end(Verb.RELEASE, rows, HELD, by)}
        rest = [{"id": r.id, "attempt": r.attempt} for r in reports if r.id not in done]
        lost = lost_leases(rest, by, said=Verb.RELEASE)
    again = {row["id"] for row in rest if row["id"] not in lost}
    return Outcome(sorted(done | again), lost)
