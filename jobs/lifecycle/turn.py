"""One turn of a bot: its reports and its claim, in one call of the function `jobs_turns`. Every call of a bot is one.

Turns of several bots that come at the same time are one statement (jobs/turns/combining.py).
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from psycopg.errors import DeadlockDetected, SerializationFailure

from bots.models import MAX_CLAIM, Bot
from jobs.errors import InstanceReplaced
from jobs.lifecycle import gates
from jobs.lifecycle.holders import regrade
from jobs.lifecycle.late import log_turn
from jobs.lifecycle.statements import SQL
from jobs.lifecycle.turn_row import TurnRow as TurnRow
from jobs.lifecycle.values import ClaimRequest
from jobs.turns import notifications
from jobs.turns.combining import Combiner, RetryAlone
from jobs.turns.frontier import Frontiers, Position, Search
from jobsite.lib import refusals
from jobsite.lib.connections import places
from jobsite.lib.db import fetch, refused_by_server, repeats_slow_call, repeats_slow_call_on_loop
from jobsite.lib.errors import Unauthorized, Unavailable
from jobsite.lib.threads import Threads

#: For how many bots a process remembers the kinds.
MAX_REMEMBERED = 100_000
#: Turns are combined when each has at most this number of bytes, and claims at most this number of jobs …
MAX_COMBINED_BYTES, MAX_COMBINED_CLAIM = 8192, 25
#: … up to this number of turns. One that is queued for longer than this, in seconds, is a call by itself.
MAX_BATCH, MAX_WAIT = 32, 0.1
#: Seconds before a turn that ended in a deadlock is repeated.
DEADLOCK_PAUSE = 0.05
#: Outcomes of turns that were not taken and are sent again.
SENT_AGAIN = ("other_kinds", "stuck")
#: How many turns with a larger claim are executed at once: with others in parallel each only takes longer.
LARGE_AT_ONCE = 4

#: How many slots an instance has, and how many of them are lost.
Slots = tuple[int, int]

UNKNOWN_TOKEN = "This token is unknown or was revoked."  # noqa: S105  a message


class TurnRequest(NamedTuple):
    """One turn for `jobs_turns`: its JSON, its bot, the kinds that the bot is expected to take, those it asks for."""

    text: str
    digest: bytes | None
    takes: tuple[str, ...]
    asked: tuple[str, ...] | None
    limit: int


def turn_request(
    who: bytes | int,
    claim: ClaimRequest | None = None,
    reports: Mapping[str, str] | None = None,
    *,
    instance: str | None = "",
    version: str | None = None,
    always: bool = False,
    slots: Slots | None = None,
) -> TurnRequest:
    """Build a turn of the bot with this token's digest, or this id, and of this instance; None: of no process.

    `reports` are JSON lists, checked before, under their verbs: `complete`, `fail`, `release`, `start`, `heartbeat`.
    `always`: write that the bot was seen, however lately it was. `slots`: how many its process has, and has lost.
    """
    digest = who if isinstance(who, bytes) else None
    parts = [f'"digest":"{digest.hex()}"' if digest is not None else f'"bot":{who!r}']
    parts += [f'"{verb}":{text}' for verb, text in (reports or {}).items()]
    limit = min(claim.limit, MAX_CLAIM) if claim else 0
    parts.append(f'"limit":{limit},"starts":{"false" if claim and not claim.start else "true"}')
    parts.append(f'"instance":{json.dumps(instance)}')
    if version is not None:
        parts.append(f'"version":{json.dumps(version)}')
    if slots is not None:
        parts.append(f'"slots":[{slots[0]},{slots[1]}]')
    if always:
        parts.append('"always":true')
    asked = None if claim is None or claim.kinds is None else tuple(sorted(set(claim.kinds)))
    takes = _takes.get(digest, ()) if digest is not None else ()
    return TurnRequest(f"{{{','.join(parts)}}}", digest, takes, asked, limit)


def take_turn(request: TurnRequest) -> TurnRow:
    """Execute a bot's turn in one transaction: the valid reports, then the claim.

    Unauthorized for an unknown token, InstanceReplaced when it claims and a newer instance has come in its place, or
    its own has ended: then nothing was done. Unavailable when a row that it needs stays locked.
    """
    row = _concluded(request, _send(request))
    if due := _due_again(row):
        notifications.announce(due)
    return row


async def take_turn_on_loop(request: TurnRequest, threads: Threads) -> TurnRow:
    """Do the same for a task of an event loop. What waits for the database does so in `threads`."""
    if _is_small(request) and not repeats_slow_call_on_loop():
        row = await _combiner.call_on_loop((request.takes, request.asked), request.digest, request, threads)
    else:
        row = await threads.run_in_context(_send_by_itself, request)
    if row is None or row.outcome in SENT_AGAIN:
        row = await threads.run_in_context(_concluded, request, row)
    else:
        row = _concluded(request, row)
    if due := _due_again(row):
        await threads.run_in_context(notifications.announce, due)
    return row


def _concluded(request: TurnRequest, row: TurnRow | None) -> TurnRow:
    """Send the turn once more if it has to be, and raise the error of one that was not taken."""
    if row is not None and row.outcome == "other_kinds":
        # Its kinds are known now.
        row = _send_alone(request._replace(takes=_takes.get(request.digest or b"", ())))
    if row is not None and row.outcome == "stuck":
        row = _send_and_grade(request)
    if row is None:
        raise Unauthorized(UNKNOWN_TOKEN)
    if row.outcome == "replaced":
        mine = json.loads(request.text)["instance"]
        raise replaced(row.name, row.instance, mine, paused=row.paused, restart=row.restart)
    if row.changes or row.refused:
        log_turn(row.bot, row.name, row.changes, row.refused)
    return row


def _due_again(row: TurnRow) -> Counter[str]:
    """How many jobs of each kind the turn has made pending that can be claimed at once."""
    if not row.changes:
        return Counter()
    return Counter(change["kind"] for change in json.loads(row.changes) if change.get("due"))


def replaced(name: str, newer: str, mine: str, **orders: bool) -> InstanceReplaced:
    """Return the refusal of an instance of the bot `name` in whose place a newer one has come, or that has ended."""
    if not newer:
        return InstanceReplaced(
            f"This process of bot {name}, {mine!r}, called goodbye. It gets no more jobs.", **orders
        )
    return InstanceReplaced(
        f"Bot {name} was started again as {newer!r}. This process, {mine!r}, gets no more jobs.", **orders
    )


#: Where this process last found pending jobs (jobs/turns/frontier.py), and the kinds that each bot took at its last
#: call: these decide which positions are tried and which turns are combined.
frontiers = Frontiers()
_takes: dict[bytes, tuple[str, ...]] = {}
_large = threading.BoundedSemaphore(LARGE_AT_ONCE)


def _is_small(request: TurnRequest) -> bool:
    """Whether the turn may be sent with others: its bot is known, and it does not make them wait."""
    return request.digest in _takes and request.limit <= MAX_COMBINED_CLAIM and len(request.text) <= MAX_COMBINED_BYTES


def _send(request: TurnRequest) -> TurnRow | None:
    # One like a call that is slow goes alone, perhaps to a locked row.
    if _is_small(request) and not connection.in_atomic_block and not repeats_slow_call():
        return _combiner.call((request.takes, request.asked), request.digest, request)
    return _send_by_itself(request)


def _send_by_itself(request: TurnRequest) -> TurnRow | None:
    if request.limit <= MAX_COMBINED_CLAIM or connection.in_atomic_block:
        return _send_alone(request)
    # After this time it is executed anyway: those before it may wait for locks that it does not need.
    acquired = _large.acquire(timeout=MAX_WAIT)
    try:
        return _send_alone(request)
    finally:
        if acquired:
            _large.release()


def _send_alone(request: TurnRequest) -> TurnRow | None:
    return send([request])[0]


def _send_and_grade(request: TurnRequest) -> TurnRow | None:
    """A bot that is stuck on a job is graded in the transaction that changes what it holds."""
    with transaction.atomic():
        row = _send_alone(request._replace(text=f'{request.text[:-1]},"grades":true}}'))
        if row is not None and row.grade:
            regrade(Bot.objects.filter(pk=row.bot))
    return row


def send(requests: Sequence[TurnRequest]) -> list[TurnRow | None]:
    """Execute turns that ask for the same kinds in one statement. None for each whose bot is unknown.

    RetryAlone when nothing of any of several turns was done; Unavailable when a row that one needs stays locked. A lost
    connection is not retried: what was done is not known.
    """
    for last in (False, True):
        try:
            if len(requests) == 1:
                return _execute(requests)
            # Of several bots: it takes no caller's own place.
            with places.held_by(places.Caller(places.Kind.BOT)):
                return _execute(requests)
        except DatabaseError as error:
            refusal = refused_by_server(error)
            if refusal is not None and len(requests) > 1:
                raise RetryAlone from error
            again = isinstance(refusal, DeadlockDetected | SerializationFailure) and not last
            if not again:
                if why := refusals.why(error):
                    raise Unavailable(why) from error
                raise
            if isinstance(refusal, DeadlockDetected):
                # The other transaction goes first.
                time.sleep(DEADLOCK_PAUSE)
    raise AssertionError


def _execute(requests: Sequence[TurnRequest]) -> list[TurnRow | None]:
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
    if last is not None:
        gates.announce(last.opened)
    # A search for other kinds than those expected says nothing about the positions of these.
    if last is not None and last.took is not None and last.takes is None:
        at = None if last.last_id is None else Position(str(last.last_run_at), last.last_id)
        search = Search(last.found_all or 0, last.wanted_all or 0, last.last_priority, at, str(last.at), last.took)
        frontiers.record((takes, asked), start, search, now, settings.CLAIM_SLOW.total_seconds())
    return results


def call_turns(**params: Any) -> list[TurnRow]:
    """Call the database function."""
    text, names = SQL.numbered("turn")
    return [TurnRow(*row) for row in fetch(text, [params[name] for name in names])]


def _remember(digest: bytes, takes: tuple[str, ...]) -> None:
    if _takes.get(digest) != takes:
        if len(_takes) >= MAX_REMEMBERED:
            _takes.clear()
        _takes[digest] = takes


_combiner = Combiner(send, max_batch=MAX_BATCH, max_wait=MAX_WAIT)
