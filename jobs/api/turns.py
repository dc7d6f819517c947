"""Exchange and claim: a bot's turn, and calls that wait for a job.

A plain turn never comes here: it is answered before (`jobs.api.short`). This is the ordinary way, for all others.
"""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Body, Router

from bots.models import Bot
from jobs import lifecycle
from jobs.api import schemas
from jobs.api.auth import bot_of, bots_only, instance_of
from jobs.lifecycle import Exchanged, Report, Turn, Wanted
from jobs.turns import waiting
from jobsite.lib import log_context
from jobsite.lib.errors import Invalid
from jobsite.lib.strict_json import check_json

router = Router(auth=bots_only, tags=["Bots"])


@router.post("/claim", response=schemas.ClaimOut)
def claim(
    request: HttpRequest, response: HttpResponse, data: schemas.ClaimIn = Body(default_factory=schemas.ClaimIn)
) -> Any:
    """Take the next due jobs: highest priority first, then oldest. An empty list when there is nothing for this bot."""
    done = _take_turn(request, response, Turn(claim=wanted(data)), data.wait)
    return {"jobs": [vars(job) for job in done.jobs], **_orders(request)}


@router.post("/exchange", response=schemas.ExchangeOut)
def exchange(
    request: HttpRequest, response: HttpResponse, data: schemas.ExchangeIn = Body(default_factory=schemas.ExchangeIn)
) -> Any:
    """A bot's whole turn at once: what it completed, what failed, heartbeats, and a claim. One transaction."""
    check(data)
    done = _take_turn(request, response, _turn(data), data.claim.wait if data.claim else 0)
    attempts = {item.id: item.attempt for items in (data.completed, data.failed, data.heartbeats) for item in items}
    rejected = [
        {"id": job_id, "attempt": attempts[job_id], "code": error.code, "detail": error.detail}
        | {name: value for name, value in error.extra.items() if name in schemas.RejectedOut.model_fields}
        for job_id, error in done.rejected.items()
    ]
    return {
        "accepted": done.accepted,
        "rejected": rejected,
        "cancel": [job_id for job_id, error in done.rejected.items() if error.extra.get("cancel")],
        "jobs": [vars(job) for job in done.jobs],
        **_orders(request),
    }


def _take_turn(request: HttpRequest, response: HttpResponse, turn: Turn, wait: float) -> Exchanged:
    bot, instance = bot_of(request), instance_of(request)
    done = lifecycle.exchange(bot, turn, instance=instance)
    if turn.claim is None or done.jobs:
        return done
    if not wait or not done.room:
        come_again(response, wait)
        return done

    kinds = _kinds(bot, turn.claim)

    def look() -> tuple[Exchanged, bool]:
        again = lifecycle.exchange(bot, Turn(claim=turn.claim), instance=instance)
        return again, bool(again.jobs) or not again.room

    again, waited = log_context.waited(lambda: waiting.until_found(look, kinds, wait))
    if not waited:
        come_again(response, wait)
    return done if again is None else Exchanged(done.accepted, done.rejected, again.jobs, again.room)


def _kinds(bot: Bot, ask: Wanted) -> tuple[str, ...] | None:
    """The kinds this claim waits for. None: any."""
    if not bot.kinds:
        return None if ask.kinds is None else tuple(ask.kinds)
    return tuple(kind for kind in bot.kinds if ask.kinds is None or kind in ask.kinds)


def come_again(response: HttpResponse | dict[str, str], wait: float) -> None:
    """To one who would have waited and gets an answer at once: so many seconds until the next claim."""
    if wait:
        response["Retry-After"] = str(waiting.RETRY_AFTER)


def _orders(request: HttpRequest) -> dict[str, bool]:
    bot = bot_of(request)
    return {"paused": bot.paused, "restart": lifecycle.take_restart(bot, instance_of(request))}


def wanted(claim: schemas.ClaimIn) -> Wanted:
    """What a claim asks for."""
    return Wanted(claim.limit, claim.kinds, claim.start)


def _turn(data: schemas.ExchangeIn) -> Turn:
    return Turn(
        completed=[Report(r.id, r.attempt, result=r.result) for r in data.completed],
        failed=failures(data),
        heartbeats=[Report(r.id, r.attempt, progress=r.progress, note=r.note) for r in data.heartbeats],
        claim=wanted(data.claim) if data.claim else None,
    )


def failures(data: schemas.ExchangeIn) -> list[Report]:
    """What failed, as the lifecycle takes it."""
    return [Report(r.id, r.attempt, error=r.error, retry=r.retry) for r in data.failed]


def check(data: schemas.ExchangeIn) -> None:
    """Invalid, naming it, for a job that is named twice and for a result that cannot be kept."""
    seen = set()
    for name in ("completed", "failed", "heartbeats"):
        for i, item in enumerate(getattr(data, name)):
            if item.id in seen:
                message = f"job {item.id} is named twice"
                raise Invalid(f"{name}[{i}].id: {message}", errors=[{"field": f"{name}[{i}].id", "message": message}])
            seen.add(item.id)
    for i, done in enumerate(data.completed):
        check_json(done.result, f"completed[{i}].result", settings.MAX_RESULT_BYTES)
