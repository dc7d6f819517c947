"""Calls of bots about one job, and hello. Claim and exchange are in `turn`."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from ninja import Body, Router

from jobs import lifecycle
from jobs.api import schemas
from jobs.api.auth import bot_of, bots_only, by_of, instance_of
from jobs.errors import InstanceReplaced, LeaseLost
from jobs.lifecycle import Report
from jobs.lists import takers
from jobsite.lib import log_context
from jobsite.lib.declared import refuses
from jobsite.lib.params import job_id_in
from jobsite.lib.strict_json import check_json

router = Router(auth=bots_only, tags=["Bots"])


def _lease(job_id: str, data: schemas.LeaseIn) -> int:
    """The job's id. Binds it and the attempt to the log context."""
    log_context.bind(attempt=data.attempt)
    return job_id_in(job_id)


@router.post("/jobs/{job_id}/start", response=schemas.RenewedOut)
@refuses(LeaseLost)
def start(request: HttpRequest, job_id: str, data: schemas.LeaseIn) -> Any:
    """Start work on a job that was claimed with `start: false`."""
    report = Report(_lease(job_id, data), data.attempt)
    return _renewed(*lifecycle.start([report], by=by_of(request)))


@router.post("/jobs/{job_id}/heartbeat", response=schemas.RenewedOut)
@refuses(LeaseLost)
def heartbeat(request: HttpRequest, job_id: str, data: schemas.HeartbeatIn) -> Any:
    """Renew the lease of a job.

    `progress` and `note` are shown to operators. Send it every third of `lease_for`. 409 `lease_lost`
    means: stop working on the job.
    """
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
@refuses(LeaseLost)
def complete(request: HttpRequest, job_id: str, data: schemas.CompleteIn) -> Any:
    """Report that a job succeeded.

    The same report again is accepted. One that comes too late is 409 `lease_lost`, and its result is kept with the
    job's history.
    """
    check_json(data.result, "result", settings.MAX_RESULT_BYTES)
    report = Report(_lease(job_id, data), data.attempt, result=data.result)
    return _reported("succeeded", report, lifecycle.complete([report], by=by_of(request)))


@router.post("/jobs/{job_id}/fail", response=schemas.ReportOut)
@refuses(LeaseLost)
def fail(request: HttpRequest, job_id: str, data: schemas.FailIn) -> Any:
    """Report that an attempt failed.

    The job is tried again after `retry_in` seconds, or a backoff, while attempts are left and `retry` is not false.
    """
    report = Report(_lease(job_id, data), data.attempt, error=data.error, retry=data.retry, retry_in=data.retry_in)
    return _reported("failed", report, lifecycle.fail([report], by=by_of(request)))


def _reported(status: str, report: Report, outcome: lifecycle.Outcome) -> dict[str, Any]:
    outcome.raise_error(report.id)
    return {"status": status, "job_id": report.id, "attempt": report.attempt, **outcome.orders}


@router.post("/heartbeat", response=schemas.BotHeartbeatOut)
@refuses(InstanceReplaced)
def bot_heartbeat(
    request: HttpRequest, data: schemas.BotHeartbeatIn = Body(default_factory=schemas.BotHeartbeatIn)
) -> Any:
    """Report that a process is running, and ask which leases it lost.

    With `holds` the answer names those of them that are no longer this bot's, and those whose jobs were cancelled. It
    renews no lease: each job needs its own heartbeat. Send it every 5 s while the process holds anything.
    """
    bot, holds = bot_of(request), data.holds
    row = lifecycle.attend(bot, instance_of(request), version=data.version, always=holds is None, slots=_slots(data))
    lost, cancelled = lifecycle.lost_leases(bot, holds) if holds else ([], [])
    return {"paused": row.paused, "restart": row.restart, "lost": lost, "cancel": cancelled}


def _slots(data: schemas.BotHeartbeatIn | schemas.HelloIn) -> tuple[int, int] | None:
    return None if data.slots is None else data.slots.kept


@router.post("/hello", response=schemas.HelloOut)
@refuses(InstanceReplaced)
def hello(request: HttpRequest, data: schemas.HelloIn) -> Any:
    """Register an instance: a process of the bot that starts.

    What older instances of its identity still hold is released at once. With `holds`, for a process that goes on, all
    that it does not name is released: it was claimed, and the answer was lost. Send the name with every later call, as
    the header `Bot-Instance`.
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
    """End an instance.

    All that it holds is released and not counted, its waiting claims end, and it gets nothing more.
    """
    bot = bot_of(request)
    # Only whether it is one: it is the body that names who ends.
    instance_of(request)
    changes = lifecycle.goodbye(bot, data.instance)
    released = [change.id for change in changes]
    return {"instance": data.instance, "released": released} | lifecycle.orders(bot, data.instance)
