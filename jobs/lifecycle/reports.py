"""Single calls of a bot: claim, start, heartbeat, complete, fail, hand back. Each is a turn with one kind of report."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, cast

from django.conf import settings

from bots.models import Bot
from jobs.lifecycle.late import refusals
from jobs.lifecycle.turn import TurnRow, take_turn, turn_request
from jobs.lifecycle.values import By, Claimed, ClaimRequest, Outcome, Renewed, Report


def claim(
    bot: Bot, *, limit: int = 1, kinds: Collection[str] | None = None, start: bool = True, instance: str = ""
) -> list[Claimed]:
    """Claim the next due jobs for `bot`, at most `limit`: by priority, then by age.

    None for a paused or quarantined bot, none of a paused kind, only of kinds the bot takes, and never beyond its
    capacity. InstanceReplaced when a newer instance has come in its place.
    """
    request = turn_request(bot.pk, ClaimRequest(limit, kinds, start), instance=instance)
    row = take_turn(request._replace(takes=tuple(bot.kinds)))
    moments = ("run_at", "deadline_at")
    jobs = [job | {name: datetime.fromisoformat(job[name]) for name in moments} for job in json.loads(row.jobs)]
    return [Claimed(**job) for job in jobs]


def complete(reports: Sequence[Report], *, by: By) -> Outcome:
    """Complete jobs with their results. A result that comes too late is kept as an event, once."""
    return _report("complete", reports, [{"result": r.result} for r in reports], by)[1]


def fail(reports: Sequence[Report], *, by: By) -> Outcome:
    """Fail attempts: pending after `retry_in` or a backoff while attempts are left and `retry`, else failed."""
    contents = [{"error": r.error, "retry": r.retry, "retry_in": r.retry_in} for r in reports]
    return _report("fail", reports, contents, by)[1]


def hand_back(reports: Sequence[Report], *, by: By, reason: str = "") -> Outcome:
    """Hand back leases of the bot's own, at shutdown for instance. The attempts do not count.

    With `run_in` the job is deferred, `MAX_DEFERRALS` times at most.
    """
    return _report("release", reports, [release_content(reason, r.run_in) for r in reports], by)[1]


def release_content(reason: str, run_in: float | None) -> dict[str, Any]:
    """What the turn has of a lease that a bot hands back, beside its job and attempt."""
    if run_in is None:
        return {"reason": reason or "handed back by the bot"}
    return {"reason": reason or "deferred by the bot", "run_in": run_in, "most": settings.MAX_DEFERRALS}


def start(reports: Sequence[Report], *, by: By) -> tuple[list[Renewed], Outcome]:
    """Start claimed jobs. A job that is processing under the same lease stays so."""
    return _renew("start", reports, [{} for _ in reports], by)


def heartbeat(reports: Sequence[Report], *, by: By) -> tuple[list[Renewed], Outcome]:
    """Renew leases, with progress (0–100) and a note where given. A bot stuck on one of them is healthy then."""
    return _renew("heartbeat", reports, [{"progress": r.progress, "note": r.note} for r in reports], by)


def _renew(
    verb: str, reports: Sequence[Report], contents: Sequence[dict[str, Any]], by: By
) -> tuple[list[Renewed], Outcome]:
    row, outcome = _report(verb, reports, contents, by)
    changes = json.loads(row.changes) if row.changes else []
    renewed = [
        Renewed(
            change["id"], change["attempt"], change["status"], datetime.fromisoformat(change["deadline_at"]),
            change["lease_for"],
        )
        for change in changes
    ]  # fmt: skip
    return renewed, outcome


def _report(
    verb: str, reports: Sequence[Report], contents: Sequence[dict[str, Any]], by: By
) -> tuple[TurnRow, Outcome]:
    pairs = zip(reports, contents, strict=True)
    text = json.dumps([{"id": r.id, "attempt": r.attempt, **content} for r, content in pairs], allow_nan=False)
    row = take_turn(turn_request(cast(int, by.bot_id), reports={verb: text}, instance=by.instance))
    rejected = refusals(row.name, row.refused)
    accepted = [report.id for report in reports if report.id not in rejected]
    return row, Outcome(accepted, rejected, row.paused, row.restart)
