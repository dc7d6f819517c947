"""Explain refused reports, on leases that are no longer the bot's, and log the changes of a turn."""

import json
from typing import Any

from jobs import transitions
from jobs.errors import LeaseLost, TooManyDeferrals
from jobs.lifecycle import audit
from jobs.lifecycle.values import By, Change, Refusal
from jobs.states import Actor, Verb
from jobsite.lib.errors import NotFound


def refusals(name: str, refused: str | None) -> dict[int, Refusal]:
    """Build an error for each refused report of the bot `name`, from the facts that `jobs_refuse` has read."""
    facts: list[dict[str, Any]] = json.loads(refused) if refused else []
    return {row["id"]: _refusal(row, name) for row in facts}


def _refusal(row: dict[str, Any], name: str) -> Refusal:
    if row["deferrals"] is not None:
        return TooManyDeferrals(
            f"Job {row['id']} was deferred {row['deferrals']} times, and may not be again (`MAX_DEFERRALS`). "
            f"Bot {name} holds it still: complete it, fail it, or release it.",
            job_id=row["id"], deferrals=row["deferrals"],
        )  # fmt: skip
    if row["found"] or row["undone"]:
        return _lease_lost(row, name)
    return NotFound(f"There is no job {row['id']}.")


def log_turn(bot: int, name: str, changes: str | None, refused: str | None) -> None:
    """Log what a turn changed and which of its reports were refused."""
    by = By(Actor.BOT, name, bot)
    audit.log_refusals(by, refusals(name, refused))
    for verb in (Verb.FAIL, Verb.RELEASE, Verb.DEFER):
        if changes and audit.logs(Actor.BOT, verb):
            rows = [row for row in json.loads(changes) if row["verb"] == verb]
            audit.log_changes(verb, by, [_change(row, by) for row in rows], {r["id"]: r["reason"] for r in rows})


def _change(row: dict[str, Any], by: By) -> Change:
    return Change(
        row["id"], row["attempt"], row["previous_status"], row["status"], by.bot_id, by.name, row["kind"],
        due=False, held_for=None,
    )  # fmt: skip


def _lease_lost(row: dict[str, Any], name: str) -> LeaseLost:
    lease = f"attempt {row['attempt']} of job {row['id']}"
    extra = {"job_id": row["id"], "attempt": row["attempt"], "cancel": row["verb"] == Verb.CANCEL}
    if row["verb"]:
        who = f"{row['actor']} {row['by']}".strip() if row["actor"] != Actor.SWEEP else "the sweep"
        why, past = row["reason"] or "no reason given", transitions.past(row["verb"])
        return LeaseLost(
            f"{lease.capitalize()} was {past} by {who} at {row['at']}: {why}. Nothing was changed.",
            ended_by=who, ended_at=row["at"], reason=row["reason"], verb=row["verb"], **extra,
        )  # fmt: skip
    if row["completed"]:
        at, who = row["finished_at"], f"bot {name}"
        return LeaseLost(
            f"{lease.capitalize()} was completed by {who} at {at}. Nothing was changed.",
            ended_by=who, ended_at=at, reason="completed", verb="complete", **extra,
        )  # fmt: skip
    if row["undone"]:
        return LeaseLost(
            f"{lease.capitalize()} is from before the database was restored or a standby was promoted, at "
            f"{row['undone']}. This database did not give it to bot {name}. Nothing was changed.",
            ended_by="a restore", ended_at=row["undone"], reason="the database was restored", verb=None, **extra,
        )  # fmt: skip
    return LeaseLost(
        f"Bot {name} does not hold {lease}. The job is {row['status']} at attempt {row['job_attempt']}.",
        ended_by=None, ended_at=None, reason="never held by this bot", verb=None, **extra,
    )  # fmt: skip
