"""Calls of bots about one job, and hello. Claim and exchange are in `turn`."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from ninja import Body, Router

from jobs import lifecycle
from jobs.api import schemas
from jobs.api.auth import bot_of, bots_only, by_of, instance_of
from jobs.lifecycle import Report
from jobs.lists import takers
from jobsite.lib import log_context
from jobsite.lib.params import job_id_in
from jobsite.lib.strict_json import check_json

router = Router(auth=bots_only, tags=["Bots"])


def _lease(job_id: str, data: schemas.LeaseIn) -> int:
    """The job's id. Binds it and the attempt to the log context."""
    log_context.bind(attempt=data.attempt)
    return job_id_in(job_id)


@router.post("/jobs/{job_id}/start", response=schemas.RenewedOut)
def start(request: HttpRequest, job_id: str, data: schemas.LeaseIn) -> Any:
    """Begin to work on a job that was claimed with `start: false`."""
    report = Report(_lease(job_id, data), data.attempt)
    return _renewed(*lifecycle.start([report], by=by_of(request)))


@router.post("/jobs/{job_id}/heartbeat", response=schemas.RenewedOut)
def heartbeat(request: HttpRequest, job_id: str, data: schemas.HeartbeatIn) -> Any:
    """Renew the lease, with progress and a note if you like. `409 lease_lost` means: stop working on it."""
    report = Report(_lease(job_id, data), data.attempt, progress=data.progress, note=data.note)
    return _renewed(*lifecycle.heartbeat([report], by=by_of(request)))


def _renewed(leases: list[lifecycle.Renewed], outcome: lifecycle.Outcome) -> dict[str, Any]:
    for job_id in outcome.rejected:
        outcome.raise_error(job_id)
    (lease,) = leases
    return {
        "job_id": lease.id,
        "attempt": lease.attempt,
        "status": lease.status,
        "deadline_at": lease.deadline_at,
        "lease_for": lease.lease_for,
        **outcome.orders,
    }


@router.post("/jobs/{job_id}/complete", response=schemas.ReportOut)
def complete(request: HttpRequest, job_id: str, data: schemas.CompleteIn) -> Any:
    """The job is done. Saying so twice is fine; saying so too late is `409 lease_lost`, and the result is kept."""
    check_json(data.result, "result", settings.MAX_RESULT_BYTES)
    report = Report(_lease(job_id, data), data.attempt, result=data.result)
    return _reported("succeeded", report, lifecycle.complete([report], by=by_of(request)))


@router.post("/jobs/{job_id}/fail", response=schemas.ReportOut)
def fail(request: HttpRequest, job_id: str, data: schemas.FailIn) -> Any:
    """The attempt failed. The job is tried again after `retry_in` seconds, or a backoff, while attempts are left and
    `retry` is not false."""
    report = Report(_lease(job_id, data), data.attempt, error=data.error, retry=data.retry, retry_in=data.retry_in)
    return _reported("failed", report, lifecycle.fail([report], by=by_of(request)))


def _reported(status: str, report: Report, outcome: lifecycle.Outcome) -> dict[str, Any]:
    outcome.raise_error(report.id)
    return {"status": status, "job_id": report.id, "attempt": report.attempt, **outcome.orders}


@router.post("/heartbeat", response=schemas.BotHeartbeatOut)
def bot_heartbeat(
    request: HttpRequest, data: schemas.BotHeartbeatIn = Body(default_factory=schemas.BotHeartbeatIn)
) -> Any:
    """The bot's process is alive. With `holds` the answer names the leases that it has lost.

    It renews no lease: each job needs its own heartbeat.
    """
    bot, holds = bot_of(request), data.holds
    row = lifecycle.attend(bot, instance_of(request), version=data.version, always=holds is None, slots=_slots(data))
    lost, cancelled = lifecycle.lost_leases(bot, holds) if holds else ([], [])
    return {"paused": row.paused, "restart": row.restart, "lost": lost, "cancel": cancelled}


def _slots(data: schemas.BotHeartbeatIn | schemas.HelloIn) -> tuple[int, int] | None:
    return None if data.slots is None else data.slots.kept


@router.post("/hello", response=schemas.HelloOut)
def hello(request: HttpRequest, data: schemas.HelloIn) -> Any:
    """A bot's process starts. What older instances of its identity still hold goes back to the queue at once.

    With `holds`, all that the process does not name goes back: it was given, and the answer was lost.
    """
    bot = bot_of(request)
    given = data.model_dump(exclude={"kinds", "slots"})
    changes = lifecycle.hello(bot, **given, slots=_slots(data), before=instance_of(request))
    return {
        "bot_id": bot.pk,
        "name": bot.name,
        "instance": data.instance,
        "kinds": bot.kinds,
        "capacity": bot.capacity,
        "released": [change.id for change in changes],
        "warnings": takers.warnings(bot, data.kinds),
        "paused": lifecycle.orders(bot, data.instance)["paused"],
        # A process that starts has been restarted; one that goes on has not.
        "restart": data.holds is not None and lifecycle.take_restart(bot, data.instance),
    }


@router.post("/goodbye", response=schemas.GoodbyeOut)
def goodbye(request: HttpRequest, data: schemas.GoodbyeIn) -> Any:
    """A bot's process ends. All that it holds goes back to the queue, and it gets nothing more."""
    bot = bot_of(request)
    changes = lifecycle.goodbye(bot, data.instance)
    released = [change.id for change in changes]
    return {"instance": data.instance, "released": released} | lifecycle.orders(bot, data.instance)
