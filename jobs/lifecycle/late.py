"""Reports on leases that are no longer the bot's: why they are refused, and late results that are kept."""

from typing import TYPE_CHECKING, Any

from jobs.errors import LeaseLost
from jobs.lifecycle import audit
from jobs.models import JobEvent
from jobs.states import Actor, JobStatus, Verb
from jobsite.lib.errors import NotFound

if TYPE_CHECKING:
    pass
from jobs.lifecycle.statements import run
from jobs.lifecycle.values import By, Report


def lost_leases(rows: list[dict[str, Any]], by: By, said: Verb | None = None) -> dict[int, LeaseLost | NotFound]:
    """Why these leases are not this bot's: an error for each, or none where it `said` the same before."""
    errors: dict[int, LeaseLost | NotFound] = {}
    for row in run("lost", rows=rows, bot=by.bot_id) if rows else []:
        if not row["found"]:
            errors[row["id"]] = NotFound(f"There is no job {row['id']}.")
            continue
        completed = row["finished_by_id"] == by.bot_id and row["job_attempt"] == row["attempt"]
        if said == Verb.LATE and completed and row["status"] == JobStatus.SUCCEEDED:
            continue
        if said is not None and row["verb"] == said and row["actor"] == Actor.BOT:
            continue
        errors[row["id"]] = _lease_lost(row, completed, by)
    audit.log_refusals(by, errors)
    return errors


def _lease_lost(row: dict[str, Any], completed: bool, by: By) -> LeaseLost:
    lease = f"attempt {row['attempt']} of job {row['id']}"
    extra = {"job_id": row["id"], "attempt": row["attempt"], "cancel": row["verb"] == Verb.CANCEL}
    if row["verb"]:
        past = {"release": "released", "expire": "expired", "fail": "failed", "cancel": "cancelled"}[row["verb"]]
        who = f"{row['actor']} {row['by']}".strip() if row["actor"] != Actor.SWEEP else "the sweep"
        why = row["reason"] or "no reason given"
        return LeaseLost(
            f"{lease.capitalize()} was {past} by {who} at {row['at'].isoformat()}: {why}. Nothing was changed.",
            ended_by=who, ended_at=row["at"].isoformat(), reason=row["reason"], verb=row["verb"], **extra,
        )  # fmt: skip
    if completed:
        at = row["finished_at"].isoformat() if row["finished_at"] else None
        who = f"bot {by.name}"
        return LeaseLost(
            f"{lease.capitalize()} was completed by {who} at {at}. Nothing was changed.",
            ended_by=who, ended_at=at, reason="completed", verb="complete", **extra,
        )  # fmt: skip
    return LeaseLost(
        f"Bot {by.name} does not hold {lease}. The job is {row['status']} at attempt {row['job_attempt']}.",
        ended_by=None, ended_at=None, reason="never held by this bot", verb=None, **extra,
    )  # fmt: skip


def keep_late(reports: list[Report], outcome: str, by: By) -> None:
    """Keep what came after a lease had ended, when the lease was this bot's."""
    held = JobEvent.objects.filter(job__in=[r.id for r in reports], bot=by.bot_id).exclude(verb=Verb.LATE)
    leases = set(held.values_list("job_id", "attempt")) if reports else set()
    rows = [
        {
            "id": r.id,
            "attempt": r.attempt,
            "reason": "a result came after the lease had ended" if outcome == "complete" else r.error,
            "detail": {"outcome": outcome} | ({"result": r.result} if outcome == "complete" else {"error": r.error}),
        }
        for r in reports
        if (r.id, r.attempt) in leases
    ]
    if rows:
        run("late", rows=rows, bot=by.bot_id, by=by.name)
