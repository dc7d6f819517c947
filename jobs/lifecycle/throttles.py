"""Throttle a kind or one of its groups: none of its jobs is claimed for a while. By a bot, or by an operator."""

import logging
from datetime import datetime

import structlog
from django.db import transaction

from bots import audit
from bots.acts import Act
from jobs.lifecycle.statements import run
from jobs.lifecycle.values import By
from jobs.states import Actor
from jobs.turns import notifications
from jobsite.lib import outcomes
from jobsite.lib.errors import NotFound

log = structlog.stdlib.get_logger("jobsite.jobs")


def throttle(kind: str, group: str, seconds: float, *, by: By, reason: str = "") -> datetime:
    """Claim none of these jobs for so many seconds. Returns until when: one that is shut for longer stays so."""
    with transaction.atomic(), outcomes.before_commit():
        _lock(kind)
        params = {"kind": kind, "group": group, "seconds": seconds, "by": by.name, "reason": reason}
        until: datetime = run("throttle", **params)[0]["shut_until"]
        _record(Act.PAUSE, kind, group, by, reason, {"shut_until": until.isoformat()})
    return until


def lift(kind: str, group: str, *, by: By, reason: str = "") -> bool:
    """Let these jobs be claimed again. False: they were not shut."""
    with transaction.atomic(), outcomes.before_commit():
        _lock(kind)
        # A group's jobs are looked for by the gate of its kind.
        lifted = bool(run("lift", kind=kind, group=group))
        if lifted:
            run("open_kind", kind=kind)
            _record(Act.RESUME, kind, group, by, reason, {"shut_until": None})
            notifications.announce({kind: 1})
    return lifted


def _lock(kind: str) -> None:
    if not run("lock_gate", kind=kind):
        raise NotFound(f"There is no kind {kind}.")


def _record(act: Act, kind: str, group: str, by: By, reason: str, after: dict[str, str | None]) -> None:
    what = {"kind": kind} | ({"group": group} if group else {})
    if by.actor == Actor.OPERATOR:
        name = f"{kind}, group {group}" if group else kind
        audit.record(act, [audit.Subject("kind", kind, name, after=after, logged=what)], by=by.who, reason=reason)
    else:
        fields = {**what, **after, "actor": str(by.actor), "by": by.name, "reason": reason}
        audit.write_on_commit(log, logging.INFO, [(f"throttle of {kind} by {by.name}", fields)])
