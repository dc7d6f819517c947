"""Calls of operators about bots, and `GET /stuck`: jobs and bots that need attention."""

from typing import Any, Literal

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from ninja import Body, Router, Status

from bots import roster
from bots.acts import Act
from bots.audit import caller as audited
from bots.instances import Instance
from bots.models import Bot
from bots.states import BotStatus, HealthStatus
from jobs import lifecycle
from jobs.api import schemas
from jobs.api.auth import people_only, require
from jobs.api.jobs import job_out
from jobs.errors import NameTaken
from jobs.lifecycle import By
from jobs.models import Job
from jobs.turns import idle
from jobsite.lib import outcomes
from jobsite.lib.cursor_page import CursorPage
from jobsite.lib.declared import refuses
from jobsite.lib.errors import Invalid, NotFound
from jobsite.lib.params import bot_id_in, takes
from jobsite.lib.planner import any_of

router = Router(auth=people_only, tags=["Fleet"])

#: The most instances that the answer of one bot lists.
MAX_INSTANCES = 100
#: The most stuck jobs and bots one answer lists; the summary counts them all.
MAX_STUCK = 1000


def bot_out(bot: Bot) -> dict[str, Any]:
    """A bot as `BotOut`."""
    fields = (
        "id", "name", "status", "health_status", "health_reason", "last_seen_at", "kinds", "capacity", "expected",
        "paused", "paused_until", "pause_reason", "version", "created_at",
    )  # fmt: skip
    return {name: getattr(bot, name) for name in fields} | {
        "stuck_job": bot.stuck_job_id,
        "quarantined": bool(bot.quarantines),
        "quarantine_reason": bot.quarantines[0].why_quarantined if bot.quarantines else "",
    }


def find(bot_id: int) -> Bot:
    """The bot. NotFound otherwise."""
    bot = Bot.objects.filter(pk=bot_id).first()
    if bot is None:
        raise NotFound(f"There is no bot {bot_id}.")
    return bot


@router.get("/bots", response=schemas.BotsOut)
@takes(
    "limit",
    "cursor",
    status=(BotStatus, "Only bots of this status."),
    health=(HealthStatus, "Only bots of this health."),
)
def bots(request: HttpRequest) -> Any:
    """List bots in the order in which they were registered."""
    require(request, "bots.view_bot")
    selected = Bot.objects.with_quarantines().order_by("id")
    for name, column, choices in (("status", "status", BotStatus), ("health", "health_status", HealthStatus)):
        if value := request.GET.get(name):
            if value not in choices.values:
                raise Invalid.about(name, f"one of {', '.join(choices.values)}.")
            selected = selected.filter(**{column: value})
    page = CursorPage.from_request(request)
    rows, next_cursor = page.cut(page.oldest_first(selected)[: page.reads])
    return {"bots": [bot_out(bot) for bot in rows], "next_cursor": next_cursor}


@router.post("/bots", response={201: schemas.NewBotOut}, operation_id="registerBot")
@refuses(NameTaken)
def register(request: HttpRequest, data: schemas.BotIn) -> Any:
    """Register a bot.

    The answer has its token, shown this once.
    """
    require(request, "bots.add_bot", scope=Act.REGISTER)
    try:
        new = Bot(name=data.name, kinds=data.kinds, capacity=data.capacity)
        new.full_clean(validate_unique=False, validate_constraints=False)
        with transaction.atomic(), outcomes.before_commit():
            bot, token = roster.register(**data.model_dump(), by=audited(request))
            # Before the commit: after it nothing may fail, for the token is shown this once.
            bot.refresh_from_db()
    except IntegrityError:
        raise NameTaken(f"name: there is a bot called {data.name!r} already.") from None
    except ValidationError as error:
        raise Invalid.about_fields(error.message_dict) from None
    return Status(201, bot_out(bot) | {"token": token})


@router.get("/bots/{bot_id}", response=schemas.OneBotOut)
@takes(wait=(Literal["idle"], "Hold the call open until the bot holds no job."))
def bot(request: HttpRequest, bot_id: str) -> Any:
    """Show a bot, with its instances.

    `wait=idle` holds the call open, for 30 s at most, until the bot holds no job.
    """
    require(request, "bots.view_bot")
    wait = request.GET.get("wait")
    if wait not in (None, "idle"):
        raise Invalid.about("wait", "only `idle`.")
    bot = find(bot_id_in(bot_id))
    if wait:
        idle.wait(bot.pk)
        bot = find(bot.pk)
    listed = bot.instances.newest_first()[:MAX_INSTANCES]
    return bot_out(bot) | {"instances": [_instance_out(instance) for instance in listed]}


def _instance_out(instance: Instance) -> dict[str, Any]:
    fields = set(schemas.InstanceOut.model_fields) - {"restart"}
    return {name: getattr(instance, name) for name in fields} | {"restart": instance.restart_requested_at is not None}


@router.post("/bots/{bot_id}/expect", response=schemas.BotChangeOut)
def expect(request: HttpRequest, bot_id: str, data: schemas.ExpectIn) -> Any:
    """Set whether an incident opens when the bot stops calling."""
    require(request, "bots.change_bot", scope=Act.EXPECT)
    bot = find(bot_id_in(bot_id))
    changed = roster.expect(Bot.objects.filter(pk=bot.pk), data.expected, by=audited(request), reason=data.reason)
    what = "is missed when it stops calling" if data.expected else "may be gone, and is not missed"
    status = "expected" if data.expected else "not_expected"
    return _changed(bot, status, f"Bot {bot.name} {what}" + ("." if changed else "; so it was before."))


@router.post("/bots/{bot_id}/pause", response=schemas.BotChangeOut)
def pause(request: HttpRequest, bot_id: str, data: schemas.PauseIn = Body(default_factory=schemas.PauseIn)) -> Any:
    """Give a bot no new jobs.

    It finishes what it holds. With `instance` only that instance is paused; with `until` the pause ends by itself.
    """
    require(request, "bots.pause_bot", scope=Act.PAUSE)
    bot, by, until, reason = find(bot_id_in(bot_id)), audited(request), data.until, data.reason
    if data.instance is None:
        changed = roster.pause(Bot.objects.filter(pk=bot.pk), until=until, by=by, reason=reason)
    else:
        changed = lifecycle.pause_instance(bot, data.instance, until=until, by=By.operator(by), reason=reason)
    message = f"{_named(bot, data)} gets no new jobs" + ("." if changed else "; it was paused before.")
    return _changed(bot, "paused", message)


@router.post("/bots/{bot_id}/resume", response=schemas.BotChangeOut)
def resume(
    request: HttpRequest, bot_id: str, data: schemas.InstanceIn = Body(default_factory=schemas.InstanceIn)
) -> Any:
    """Give a bot jobs again.

    This also ends its quarantine. With `instance`, only of that instance.
    """
    require(request, "bots.pause_bot", scope=Act.RESUME)
    bot, by = find(bot_id_in(bot_id)), audited(request)
    these, operator, reason = Bot.objects.filter(pk=bot.pk), By.operator(by), data.reason
    with transaction.atomic(), outcomes.before_commit():
        if data.instance is None:
            roster.resume(these, by=by, reason=reason)
        else:
            lifecycle.resume_instance(bot, data.instance, by=operator, reason=reason)
        lifecycle.clear_quarantine(these, by=operator, reason=reason, instance=data.instance)
    return _changed(bot, "resumed", f"{_named(bot, data)} gets new jobs.")


@router.post("/bots/{bot_id}/restart", response=schemas.BotChangeOut)
def restart(
    request: HttpRequest, bot_id: str, data: schemas.InstanceIn = Body(default_factory=schemas.InstanceIn)
) -> Any:
    """Release what a bot holds, and ask it to restart.

    It has `restart: true` in every answer, and gets no jobs, until it calls `hello`. With `instance`, only that one.
    """
    require(request, "bots.restart_bot", scope=Act.RESTART)
    bot, by = find(bot_id_in(bot_id)), By.operator(audited(request))
    if data.instance is not None and not bot.instances.current().filter(name=data.instance).exists():
        raise NotFound(f"Bot {bot.name} has no current instance {data.instance!r}.")
    these = Bot.objects.filter(pk=bot.pk)
    _, changes = lifecycle.restart(these, by=by, reason=data.reason, instance=data.instance)
    released = [change.id for change in changes]
    message = f"{_named(bot, data)} will be told to restart; {len(released)} jobs were released."
    return _changed(bot, "restarting", message) | {"released": released}


def _named(bot: Bot, data: schemas.InstanceIn) -> str:
    return f"Bot {bot.name}" if data.instance is None else f"Instance {data.instance} of bot {bot.name}"


def _changed(bot: Bot, status: str, message: str) -> dict[str, Any]:
    return {"bot_id": bot.pk, "status": status, "message": message}


@router.get("/stuck", response=schemas.StuckOut)
def stuck(request: HttpRequest) -> Any:
    """List everything that is stuck now, with the evidence.

    Leases past a limit, and bots that are not healthy or down. At most 1000 of each; `summary` counts all.
    """
    user = require(request, "jobs.view_job", "bots.view_bot")
    jobs = Job.objects.stuck().order_by("heartbeat_at")
    # Only of these the bots are read.
    first = Job.objects.filter(pk__in=jobs.values("pk")[:MAX_STUCK])
    listed = list(first.select_related("claimed_by").order_by("heartbeat_at"))
    checks = lifecycle.check_leases(Job.objects.filter(any_of("pk", [job.pk for job in listed])), instances=False)
    # Without those that ended or were heard of just now.
    reasons = {check.lease.job_id: check.grade.reason for check in checks if check.grade.signal}
    not_healthy = Bot.objects.stuck() | Bot.objects.filter(status=BotStatus.DOWN)
    return {
        "jobs": [job_out(job, user) | {"reason": reasons[job.pk]} for job in listed if job.pk in reasons],
        "bots": [bot_out(bot) for bot in not_healthy.with_quarantines().order_by("name")[:MAX_STUCK]],
        "summary": {
            "jobs": jobs.count(),
            "bots": not_healthy.count(),
            "potentially_stuck": Bot.objects.filter(health_status=HealthStatus.POTENTIALLY_STUCK).count(),
            "unhealthy": Bot.objects.filter(health_status=HealthStatus.UNHEALTHY).count(),
            "down": Bot.objects.filter(status=BotStatus.DOWN).count(),
        },
    }
