"""Log lines about leases: one for each change by an operator or the sweep, and for each refused report."""

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from django.db import transaction

from jobs.states import Actor, Verb
from jobsite.lib.errors import JobsiteError

if TYPE_CHECKING:
    from jobs.lifecycle import By, Change
from jobsite.lib.log_context import bound

logger = logging.getLogger("jobsite.jobs")


def log_changes(verb: str, by: "By", changes: Iterable["Change"], reasons: Mapping[int, str]) -> None:
    """One line for each job that an operator, the sweep or a release changed, once the transaction holds.

    What bots report all day is in the history and not in the log, unless that is set to DEBUG.
    """
    if not logs(by.actor, verb):
        return
    level = _level(by.actor, verb)
    lines = [(change, reasons.get(change.id, "")) for change in changes]
    # As it is now: the commit may come when the request, or the sweep, is over.
    about = dict(bound())

    def write() -> None:
        for change, why in lines:
            _log_change(level, verb, by, change, why, about)

    if lines:
        transaction.on_commit(write, robust=True)


def logs(actor: str, verb: str) -> bool:
    """Whether `log_changes` writes anything of such changes."""
    return logger.isEnabledFor(_level(actor, verb))


def _level(actor: str, verb: str) -> int:
    return logging.DEBUG if actor == Actor.BOT and verb != Verb.RELEASE else logging.INFO


def _log_change(level: int, verb: str, by: "By", change: "Change", why: str, about: Mapping[str, Any]) -> None:
    said = {
        **about,
        "verb": str(verb), "job": change.id, "attempt": change.attempt, "kind": change.kind, "bot": change.bot_name,
        "bot_id": change.bot, "actor": str(by.actor), "by": by.name, "reason": why, "status": change.status,
        "previous_status": change.previous_status,
    }  # fmt: skip
    logger.log(level, "%s of job %s by %s: %s", verb, change.id, by.name, change.status, extra={"said": said})


def log_refusals(by: "By", errors: Mapping[int, JobsiteError]) -> None:
    """One line for each report on a lease that is no longer the bot's."""
    for job_id, error in errors.items():
        if "attempt" in error.extra:
            said = {
                "job": job_id, "attempt": error.extra["attempt"], "code": error.code, "bot": by.name,
                "bot_id": by.bot_id, "verb": error.extra["verb"], "ended_by": error.extra["ended_by"],
            }  # fmt: skip
            logger.warning("report refused: %s of job %s", error.code, job_id, extra={"said": said})
