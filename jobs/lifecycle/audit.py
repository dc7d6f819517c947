"""Log changes of leases: one line for each change by an operator or the sweep, and for each refused report."""

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import structlog

from bots.audit import write_on_commit
from jobs.states import Actor, Verb
from jobsite.lib.errors import JobsiteError

if TYPE_CHECKING:
    from jobs.lifecycle import By, Change

log = structlog.stdlib.get_logger("jobsite.jobs")
_logger = logging.getLogger("jobsite.jobs")


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
