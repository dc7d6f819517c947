"""The verbs of operators and of the sweep: release, cancel, retry, accept, prioritise, expire, give up, flag."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.db import transaction

from jobs.lifecycle import audit
from jobs.states import CANCELLABLE, HELD, RETRYABLE, JobStatus, Verb
from jobs.turns import waiting

if TYPE_CHECKING:
    pass
from jobs.lifecycle.holders import settle
from jobs.lifecycle.statements import run
from jobs.lifecycle.values import By, Change


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
    return end(Verb.EXPIRE, rows, HELD, by, keep_health=True) if rows else []


def give_up(job_ids: Iterable[int], *, by: By, reasons: dict[int, str]) -> list[Change]:
    """Leases nobody works on end as failed, because their kind says so."""
    rows = [
        {"id": i, "reason": reasons[i], "error": f"given up: {reasons[i]}", "retry": False}
        for i in sorted(set(job_ids))
    ]
    return end(Verb.FAIL, rows, HELD, by, keep_health=True) if rows else []


def flag(job_ids: Iterable[int], *, by: By, reasons: dict[int, str]) -> int:
    """Say in the history, once for each attempt, that a lease is past all its limits. Changes nothing else."""
    rows = [{"id": job_id, "reason": reasons[job_id]} for job_id in sorted(set(job_ids))]
    return len(run("flag", rows=rows, actor=by.actor, by=by.name)) if rows else 0


def _end_all(verb: Verb, job_ids: Iterable[int], sources: Sequence[JobStatus], by: By, reason: str) -> list[Change]:
    rows = [{"id": job_id, "reason": reason} for job_id in sorted(set(job_ids))]
    return end(verb, rows, sources, by) if rows else []


def end(
    verb: Verb, rows: list[dict[str, Any]], sources: Sequence[JobStatus], by: By, *, keep_health: bool = False
) -> list[Change]:
    with transaction.atomic():
        for row in rows:
            row["reason"] = row.get("reason") or ""
        params = {"from": list(sources), "verb": verb, "actor": by.actor, "by": by.name}
        changes = [Change(**row) for row in run("end", rows=rows, **params)]
        announce_pending(changes)
        audit.log_changes(verb, by, changes, {row["id"]: row["reason"] for row in rows})
        settle({change.bot for change in changes}, keep_health=keep_health)
    return changes


def _turn(name: str, job_ids: Iterable[int], by: By, reason: str, **params: Any) -> list[Change]:
    ids = sorted(set(job_ids))
    with transaction.atomic():
        changes = [Change(**r) for r in run(name, ids=ids, actor=by.actor, by=by.name, reason=reason, **params)]
        announce_pending(changes)
        audit.log_changes(name, by, changes, dict.fromkeys(ids, reason))
    return changes


def announce_pending(changes: Iterable[Change]) -> None:
    """Tell those who wait for jobs of what is pending again. What is due only later, they look for by themselves."""
    waiting.announce(Counter(c.kind for c in changes if c.status == JobStatus.PENDING and c.due))
