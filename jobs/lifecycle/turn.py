"""One turn of a bot: its reports and its claim, in one call of the function `jobs_turns`. Every call of a bot is one.

Turns of several bots that come at the same time are one statement (jobs/turns/combining.py).
"""

import json
import re
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from psycopg.errors import DeadlockDetected, LockNotAvailable, SerializationFailure

from bots.models import MAX_CLAIM, Bot
from jobs.errors import InstanceReplaced
from jobs.lifecycle.holders import regrade
from jobs.lifecycle.late import log_turn
from jobs.lifecycle.statements import SQL
from jobs.lifecycle.values import Wanted
from jobs.models import Job
from jobs.turns.combining import Combiner, RetryAlone
from jobs.turns.frontier import Frontiers, Position, Search
from jobsite.lib.db import fetch, refused_by_server
from jobsite.lib.errors import Unauthorized, Unavailable

#: How many bots a process remembers the kinds of.
MOST_REMEMBERED = 100_000
#: Turns go together when each has at most so many bytes, and asks for at most so many jobs …
SMALL, FEW = 8192, 25
#: … at most so many of them, and when they need not stand in line for longer than this, in seconds.
MOST_TURNS, PATIENCE = 32, 0.1
#: Seconds before a turn is repeated that waited for somebody who waited for it.
GIVE_WAY = 0.05
#: Turns that ask for more jobs than `FEW` are each a call; with more of them at once each only takes longer.
LARGE_AT_ONCE = 4

UNKNOWN_TOKEN = "This token is unknown or was revoked."  # noqa: S105  a message
_LOCKED = re.compile(r'tuple (\(\d+,\d+\)) in relation "(jobs_job|bots_bot)"')


class TurnRequest(NamedTuple):
    """One turn for `jobs_turns`: its JSON, whose it is, the kinds that bot is believed to take, those it asks for."""

    text: str
    digest: bytes | None
    takes: tuple[str, ...]
    asked: tuple[str, ...] | None
    limit: int


class TurnRow(NamedTuple):
    """What became of one turn: a row of `jobs_turns`, in its order.

    `jobs` are the claimed ones, as a JSON list, and `n` how many; `kinds` those the claim was for (None: any); `room`:
    the bot could have got jobs, had there been any for it. `changes`: leases that were renewed or ended other than
    well, `refused`: reports that did not hold, both JSON.
    """

    turn: int
    outcome: str
    bot: int
    name: str
    instance: str
    takes: str | None
    kinds: list[str] | None
    room: bool
    paused: bool
    restart: bool
    grade: bool
    jobs: str
    n: int
    changes: str | None
    refused: str | None
    found_all: int | None
    wanted_all: int | None
    took: float | None
    at: str | None
    last_priority: int | None
    last_run_at: str | None
    last_id: int | None


def turn_request(
    who: bytes | int,
    claim: Wanted | None = None,
    reports: Mapping[str, str] | None = None,
    *,
    instance: str = "",
    version: str | None = None,
    always: bool = False,
) -> TurnRequest:
    """One turn of the bot with this token's digest, or this id.

    `reports` are JSON lists, checked before, under their verbs: `complete`, `fail`, `release`, `start`, `heartbeat`.
    `always`: write that the bot was seen, however lately it was.
    """
    digest = who if isinstance(who, bytes) else None
    parts = [f'"digest":"{digest.hex()}"' if digest is not None else f'"bot":{who!r}']
    parts += [f'"{verb}":{text}' for verb, text in (reports or {}).items()]
    limit = min(claim.limit, MAX_CLAIM) if claim else 0
    parts.append(f'"limit":{limit},"starts":{"false" if claim and not claim.start else "true"}')
    parts.append(f'"instance":{json.dumps(instance)}')
    if version is not None:
        parts.append(f'"version":{json.dumps(version)}')
    if always:
        parts.append('"always":true')
    asked = None if claim is None or claim.kinds is None else tuple(sorted(set(claim.kinds)))
    takes = _takes.get(digest, ()) if digest is not None else ()
    return TurnRequest(f"{{{','.join(parts)}}}", digest, takes, asked, limit)


def take_turn(request: TurnRequest) -> TurnRow:
    """Do what holds of a bot's turn: the reports first, then the claim. One transaction.

    Unauthorized for an unknown token, InstanceReplaced when it claims and a newer process of the bot is alone: then
    nothing of it was done. Unavailable when a row that it needs stays locked.
    """
    row = _send_with_others(request)
    if row is not None and row.outcome == "other_kinds":
        # Its kinds are known now.
        row = _send_alone(request._replace(takes=_takes.get(request.digest or b"", ())))
    if row is not None and row.outcome == "stuck":
        row = _send_and_grade(request)
    if row is None:
        raise Unauthorized(UNKNOWN_TOKEN)
    if row.outcome == "replaced":
        mine = json.loads(request.text)["instance"]
        raise InstanceReplaced(
            f"Bot {row.name} was started again as {row.instance!r}, alone. This process, {mine!r}, gets no more jobs."
        )
    if row.changes or row.refused:
        log_turn(row.bot, row.name, row.changes, row.refused)
    return row


#: Where this process last found pending jobs (jobs/turns/frontier.py), and the kinds its bots took when they last
#: called, which says whose places are tried and whose turns go together.
frontiers = Frontiers()
_takes: dict[bytes, tuple[str, ...]] = {}
_large = threading.BoundedSemaphore(LARGE_AT_ONCE)


def _send_with_others(request: TurnRequest) -> TurnRow | None:
    if request.limit > FEW and not connection.in_atomic_block:
        # Whoever has waited long goes on all the same: those before it may wait for a lock that is theirs alone.
        mine = _large.acquire(timeout=PATIENCE)
        try:
            return _send_alone(request)
        finally:
            if mine:
                _large.release()
    if request.digest not in _takes or len(request.text) > SMALL or connection.in_atomic_block:
        return _send_alone(request)
    return _combiner.call((request.takes, request.asked), request.digest, request)


def _send_alone(request: TurnRequest) -> TurnRow | None:
    return send([request])[0]


def _send_and_grade(request: TurnRequest) -> TurnRow | None:
    """A bot that is stuck on a job is graded in the transaction that changes what it holds (DESIGN 4.6)."""
    with transaction.atomic():
        row = _send_alone(request._replace(text=f'{request.text[:-1]},"grades":true}}'))
        if row is not None and row.grade:
            regrade(Bot.objects.filter(pk=row.bot))
    return row


def send(requests: Sequence[TurnRequest]) -> list[TurnRow | None]:
    """Turns that ask for the same kinds, in one statement. None for each whose bot is not known.

    RetryAlone when nothing of any of several turns was done; Unavailable when a row that one needs stays locked. A lost
    connection is nobody's to repeat: what was done is not known.
    """
    for last in (False, True):
        try:
            return _send(requests)
        except DatabaseError as error:
            refusal = refused_by_server(error)
            if refusal is not None and len(requests) > 1:
                raise RetryAlone from error
            if isinstance(refusal, LockNotAvailable):
                text = f"{_locked_row(refusal)} is locked just now. Nothing was changed; try again."
                raise Unavailable(text) from error
            if not isinstance(refusal, DeadlockDetected | SerializationFailure):
                raise
            if last:
                raise Unavailable("Others need the same rows just now. Nothing was changed; try again.") from error
            if isinstance(refusal, DeadlockDetected):
                # Whoever waited for this one goes first.
                time.sleep(GIVE_WAY)
    raise AssertionError


def _send(requests: Sequence[TurnRequest]) -> list[TurnRow | None]:
    takes, asked = requests[0].takes, requests[0].asked
    now = time.monotonic()
    start = frontiers.start((takes, asked), now)
    positions = sorted(start.positions.items(), reverse=True)
    rows = call_turns(
        turns=f"[{','.join([request.text for request in requests])}]",
        bot_kinds=list(takes),
        asked=None if asked is None else list(asked),
        priorities=[priority for priority, _ in positions],
        run_ats=[position.run_at for _, position in positions],
        ids=[position.id for _, position in positions],
        run_within=settings.DEFAULT_RUN_WITHIN,
        seen_every=settings.LAST_SEEN_EVERY,
        slow=settings.CLAIM_SLOW,
    )
    results: list[TurnRow | None] = [None] * len(requests)
    for row in rows:
        results[row.turn - 1] = row
        digest = requests[row.turn - 1].digest
        if digest is not None:
            _remember(digest, takes if row.takes is None else tuple(json.loads(row.takes)))
    last = rows[-1] if rows else None
    # What was found for other kinds than believed says nothing of where jobs of these are.
    if last is not None and last.took is not None and last.takes is None:
        at = None if last.last_id is None else Position(str(last.last_run_at), last.last_id)
        search = Search(last.found_all or 0, last.wanted_all or 0, last.last_priority, at, str(last.at), last.took)
        frontiers.record((takes, asked), start, search, now, settings.CLAIM_SLOW.total_seconds())
    return results


def call_turns(**params: Any) -> list[TurnRow]:
    """Call the function: this is what bots do all day."""
    text, names = SQL.numbered("turn")
    return [TurnRow(*row) for row in fetch(text, [params[name] for name in names])]


def _remember(digest: bytes, takes: tuple[str, ...]) -> None:
    if _takes.get(digest) != takes:
        if len(_takes) >= MOST_REMEMBERED:
            _takes.clear()
        _takes[digest] = takes


def _locked_row(error: LockNotAvailable) -> str:
    """The row that somebody else keeps locked, as PostgreSQL says where it waited."""
    found = _LOCKED.search(error.diag.context or "")
    if found is None:
        return "A row that this call needs"
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT id FROM "{found[2]}" WHERE ctid = %s::tid', [found[1]])  # noqa: S608  one of two tables
        row = cursor.fetchone()
    if found[2] == Job._meta.db_table:
        return "A job" if row is None else f"Job {row[0]}"
    name = Bot.objects.filter(pk=row[0]).values_list("name", flat=True).first() if row else None
    return "A bot" if name is None else f"Bot {name}"


_combiner = Combiner(send, max_batch=MOST_TURNS, max_wait=PATIENCE)
