"""Record what operators do to jobs in the audit log, and log changes of leases and refused reports."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from bots import audit
from bots.acts import Act
from bots.audit import Subject, write_on_commit
from jobs.states import Actor, Verb
from jobsite.lib.errors import JobsiteError

if TYPE_CHECKING:
    from jobs.lifecycle import By, Change

log = structlog.stdlib.get_logger("jobsite.jobs")
_logger = logging.getLogger("jobsite.jobs")


def entry_of(by: "By") -> int | None:
    """Reserve the audit entry to which the events of this act refer. None where no operator acts."""
    return audit.reserve() if by.actor == Actor.OPERATOR else None


def record(
    verb: str,
    by: "By",
    changes: Sequence["Change"],
    reasons: Mapping[int, str],
    entry: int | None,
    asked: Mapping[str, Any] | None = None,
) -> None:
    """Log these changes, and record an operator's act under its reserved `entry`: one entry, however many jobs.

    `asked`: what the operator gave beside the jobs.
    """
    if entry is not None and changes:
        subject = _subject(changes, asked or {})
        audit.record(Act(verb), [subject], by=by.who, reason=reasons[changes[0].id], pk=entry, logs=False)
    log_changes(verb, by, changes, reasons)


def _subject(changes: Sequence["Change"], asked: Mapping[str, Any]) -> Subject:
    if len(changes) > 1:
        return Subject("job", "", f"{len(changes)} jobs", after={"jobs": [change.id for change in changes], **asked})
    (change,) = changes
    before = {"status": change.previous_status} | ({"bot": change.bot_name} if change.bot_name else {})
    return Subject("job", change.id, f"{change.kind} {change.id}", before, {"status": change.status, **asked})


def log_changes(verb: str, by: "By", changes: Iterable["Change"], reasons: Mapping[int, str]) -> None:
    """Log each job that an operator, the sweep or a release changed, once the transaction has committed.

    Bots' own reports are in the history, and in the log only if that is set to DEBUG.
    """
    if not logs(by.actor, verb):
        return
    lines = []
    for change in changes:
        fields = {
            "verb": str(verb), "job": change.id, "attempt": change.attempt, "kind": change.kind,
            "bot": change.bot_name, "bot_id": change.bot, "actor": str(by.actor), "by": by.name,
            "reason": reasons.get(change.id, ""), "status": change.status,
            "previous_status": change.previous_status,
        }  # fmt: skip
        lines.append((f"{verb} of job {change.id} by {by.name}: {change.status}", fields))
    write_on_commit(log, _level(by.actor, verb), lines)


def logs(actor: str, verb: str) -> bool:
    """Say whether `log_changes` writes a line for such changes."""
    # The standard library's answer: structlog's takes ten times as long, and this is asked at bots' reports.
    return _logger.isEnabledFor(_level(actor, verb))


def _level(actor: str, verb: str) -> int:
    return logging.DEBUG if actor == Actor.BOT and verb != Verb.RELEASE else logging.INFO


def log_refusals(by: "By", errors: Mapping[int, JobsiteError]) -> None:
    """Log each report on a lease that the bot no longer holds."""
    for job_id, error in errors.items():
        if "attempt" in error.extra:
            log.warning(
                f"report refused: {error.code} of job {job_id}",
                job=job_id, attempt=error.extra["attempt"], code=error.code, bot=by.name, bot_id=by.bot_id,
                verb=error.extra["verb"], ended_by=error.extra["ended_by"],
            )  # fmt: skip
