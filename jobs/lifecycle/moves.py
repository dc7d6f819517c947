"""Verbs of operators, producers and the sweep: release, cancel, retry, accept, prioritise, replace, drop, expire, give
up, flag.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from time import monotonic
from typing import Any

from django.db import IntegrityError, transaction
from psycopg.errors import UniqueViolation

from jobs import suspicion, transitions
from jobs.lifecycle import audit, gates
from jobs.lifecycle.holders import touch
from jobs.lifecycle.statements import run
from jobs.lifecycle.values import By, Change
from jobs.states import JobStatus, Verb
from jobs.transitions import Counted
from jobs.turns import notifications
from jobsite.lib import outcomes

#: How often a retry is tried that meets jobs with its keys, which others enqueue just then.
MAX_TRIES = 10
#: Jobs that are dropped in one transaction.
DROPPED = 1000


def release(job_ids: Iterable[int], *, by: By, reason: str = "", to_another: bool = False) -> list[Change]:
    """Release jobs, whichever bots hold them: pending at once, the attempt not counted, the bots healthy.

    `to_another`: for a while, no instance gets one that held it.
    """
    more = {"others_first": suspicion.TO_ANOTHER.total_seconds()} if to_another else {}
    return _end_all(Verb.RELEASE, job_ids, by, reason, **more)


def cancel(job_ids: Iterable[int], *, by: By, reason: str = "") -> list[Change]:
    """Cancel jobs. A bot that holds one learns of it at its next heartbeat or report."""
    return _end_all(Verb.CANCEL, job_ids, by, reason)


def retry(job_ids: Iterable[int], *, by: By, reason: str = "") -> list[Change]:
    """Make failed and cancelled jobs pending with all their attempts.

    Of several that take the same key again the newest, and none whose key another job has.
    """
    for last in range(1 - MAX_TRIES, 1):
        try:
            return move(Verb.RETRY, job_ids, by, reason)
        except IntegrityError as error:
            # Another job has got a key since the statement began: now it is seen.
            if last == 0 or not isinstance(error.__cause__, UniqueViolation):
                raise
    raise AssertionError


def accept(job_ids: Iterable[int], *, by: By, reason: str = "") -> list[Change]:
    """Complete pending jobs with the late results that are kept for them."""
    return move(Verb.ACCEPT, job_ids, by, reason)


def prioritise(job_ids: Iterable[int], *, priority: int, by: By, reason: str = "") -> list[Change]:
    """Set the priority of jobs that have not ended. Those that have it already do not change."""
    return move(Verb.PRIORITISE, job_ids, by, reason, {"priority": priority}, priority=priority)


def replace(new: Mapping[int, Mapping[str, Any]], *, by: By) -> list[Change]:
    """Give jobs what their producers sent now: `{job: its new fields}`. Those that a bot has had do not change."""
    if not new:
        return []
    rows = [{**fields, "id": job_id} for job_id, fields in sorted(new.items())]
    params = {"from": transitions.sources(Verb.REPLACE), "actor": by.actor, "by": by.name, "audit": None}
    with transaction.atomic(), outcomes.before_commit():
        changes = [Change(**row) for row in run(Verb.REPLACE, rows=rows, **params)]
        announce_pending(changes)
    return changes


def drop(*, by: By, seconds: float = math.inf) -> int:
    """Cancel pending jobs that had to be begun by now, but for locked ones, for so many seconds at most.

    Returns how many.
    """
    dropped, until = 0, monotonic() + seconds
    while some := _drop(by, DROPPED):
        dropped += some
        if monotonic() >= until:
            break
    return dropped


def _drop(by: By, most: int) -> int:
    with transaction.atomic(), outcomes.before_commit():
        changes = [Change(**row) for row in run(Verb.DROP, most=most, actor=by.actor, by=by.name, audit=None)]
        audit.log_changes(Verb.DROP, by, changes, {change.id: "it was not begun in time" for change in changes})
    return len(changes)


def expire(
    job_ids: Iterable[int],
    *,
    by: By,
    reasons: dict[int, str],
    last: Mapping[int, str] | None = None,
    others_first: Collection[int] = (),
    probes: Collection[int] = (),
) -> list[Change]:
    """Expire leases, the attempts counted: pending at once while attempts are left, else failed.

    `last`: jobs that get no further attempt, whatever is left, each with its error. `others_first`: those that another
    instance gets first. `probes`: those of instances in quarantine; their attempts are not counted.
    """
    last, first = last or {}, suspicion.OTHERS_FIRST.total_seconds()
    rows = [
        {"id": i, "reason": reasons[i], "error": last.get(i, f"expired: {reasons[i]}"), "retry": i not in last}
        | ({"others_first": first} if i in others_first else {})
        | ({"probe": True} if i in probes else {})
        for i in sorted(set(job_ids))
    ]
    return end(Verb.EXPIRE, rows, by, keep_health=True) if rows else []


def give_up(job_ids: Iterable[int], *, by: By, reasons: dict[int, str]) -> list[Change]:
    """Fail jobs whose leases are past a limit, by their kind's policy."""
    rows = [
        {"id": i, "reason": reasons[i], "error": f"given up: {reasons[i]}", "retry": False}
        for i in sorted(set(job_ids))
    ]
    return end(Verb.FAIL, rows, by, keep_health=True) if rows else []


def flag(job_ids: Iterable[int], *, by: By, reasons: dict[int, str]) -> int:
    """Record in the history, once for each attempt, that a lease is past all its limits. Changes nothing else."""
    rows = [{"id": job_id, "reason": reasons[job_id]} for job_id in sorted(set(job_ids))]
    params = {"from": transitions.sources(Verb.FLAG), "actor": by.actor, "by": by.name, "audit": None}
    return len(run("flag", rows=rows, **params)) if rows else 0


def _end_all(verb: Verb, job_ids: Iterable[int], by: By, reason: str, **more: Any) -> list[Change]:
    rows = [{"id": job_id, "reason": reason, **more} for job_id in sorted(set(job_ids))]
    return end(verb, rows, by) if rows else []


def end(verb: Verb, rows: list[dict[str, Any]], by: By, *, keep_health: bool = False) -> list[Change]:
    """End leases without success: those of `rows` whose state allows it, of the attempt and bot where given."""
    targets = transitions.targets(verb)
    params: dict[str, Any] = {
        "from": transitions.sources(verb),
        "to": targets[0] if len(targets) == 1 else None,
        "uncounts": int(transitions.rows(verb)[0].counted == Counted.NO),
    }
    with transaction.atomic(), outcomes.before_commit():
        for row in rows:
            row["reason"] = row.get("reason") or ""
        params |= {"verb": verb, "actor": by.actor, "by": by.name, "audit": audit.entry_of(by)}
        changes = [Change(**row) for row in run("end", rows=rows, **params)]
        announce_pending(changes)
        audit.record(verb, by, changes, {row["id"]: row["reason"] for row in rows}, params["audit"])
        touch({change.bot for change in changes}, keep_health=keep_health)
    return changes


def move(
    verb: Verb, job_ids: Iterable[int], by: By, reason: str, asked: Mapping[str, Any] | None = None, **params: Any
) -> list[Change]:
    """Move jobs that nobody holds, or change them, by the statement with the verb's name.

    `asked`: what the operator gave beside the jobs, for the audit log.
    """
    ids = sorted(set(job_ids))
    params |= {"from": transitions.sources(verb), "actor": by.actor, "by": by.name, "reason": reason}
    with transaction.atomic(), outcomes.before_commit():
        params["audit"] = audit.entry_of(by)
        changes = [Change(**row) for row in run(verb, ids=ids, **params)]
        announce_pending(changes)
        audit.record(verb, by, changes, dict.fromkeys(ids, reason), params["audit"], asked)
    return changes


def announce_pending(changes: Iterable[Change]) -> None:
    """Announce jobs that are pending and due to waiting claims, which poll for jobs that are due later.

    Gates that are opened by what was changed are announced with it.
    """
    changed = list(changes)
    notifications.announce(Counter(c.kind for c in changed if c.status == JobStatus.PENDING and c.due))
    gates.open_changed([c.id for c in changed])
