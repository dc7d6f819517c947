"""What operators want of a bot's instances: restart, pause and resume."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from bots import audit
from bots.acts import Act
from bots.instances import Instance
from bots.models import Bot
from bots.roster import NOT_PAUSED
from jobs.lifecycle.moves import release
from jobs.lifecycle.processes import instances_changed
from jobs.lifecycle.values import By, Change
from jobs.models import Job
from jobsite.lib import outcomes
from jobsite.lib.clock import moment
from jobsite.lib.errors import NotFound


def orders(bot: Bot, name: str) -> dict[str, bool]:
    """What operators want of an instance. One that never calls hello learns of a restart from a claim alone."""
    own = bot.instances.filter(name=name)
    paused = Bot.objects.paused().filter(pk=bot.pk).exists() or own.paused().exists()
    return {"paused": paused, "restart": bool(name) and own.filter(restart_requested_at__isnull=False).exists()}


def restart(bots: QuerySet[Bot], *, by: By, reason: str = "", instance: str | None = None) -> tuple[int, list[Change]]:
    """Release what these bots hold, and ask all their instances to restart, or only the one. Returns (bots, jobs).

    An instance gets no jobs until it calls hello. One that never does is asked once, in the answer to a claim.
    """
    with transaction.atomic(), outcomes.before_commit():
        ids = list(bots.values_list("pk", flat=True))
        held = Job.objects.held().filter(claimed_by__in=ids)
        if instance is not None:
            held = held.filter(instance=instance)
        released_ids = list(held.values_list("id", flat=True))
        changes = release(released_ids, by=by, reason=reason or "its bot was told to restart")
        asked = list(Bot.objects.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True))
        _current(asked, instance).update(restart_requested_at=Now())
        instances_changed(*asked)
        released: dict[int | None, list[int]] = {}
        for change in changes:
            released.setdefault(change.bot, []).append(change.id)
        only = {} if instance is None else {"instance": instance}
        subjects = [audit.subject(bot, after={"released": released.get(bot.pk, []), **only}) for bot in asked]
        audit.record(Act.RESTART, subjects, by=by.who, reason=reason)
    return len(asked), changes


def _current(bots: list[Bot], name: str | None) -> QuerySet[Instance]:
    """The current instances of these bots, which are locked; a bot that has none gets the one without a name."""
    current = Instance.objects.current().filter(bot__in=bots)
    if name is not None:
        return current.filter(name=name)
    known = set(current.values_list("bot", flat=True))
    unnamed = [Instance(bot=bot) for bot in bots if bot.pk not in known]
    Instance.objects.bulk_create(unnamed, ignore_conflicts=True)
    return current


def pause_instance(bot: Bot, name: str, *, until: datetime | None = None, by: By, reason: str = "") -> int:
    """Pause an instance: it gets no new jobs, until that moment if there is one. Returns whether that changed it.

    NotFound if it does not run.
    """
    return _set(Act.PAUSE, bot, name, by, reason, {"paused": True, "paused_until": until, "pause_reason": reason})


def resume_instance(bot: Bot, name: str, *, by: By, reason: str = "") -> int:
    """Resume an instance: it gets new jobs. Returns whether it was paused. NotFound if it does not run."""
    return _set(Act.RESUME, bot, name, by, reason, NOT_PAUSED)


def _set(verb: Act, bot: Bot, name: str, by: By, reason: str, fields: dict[str, Any]) -> int:
    with transaction.atomic(), outcomes.before_commit():
        Bot.objects.select_for_update(no_key=True).get(pk=bot.pk)
        row = bot.instances.current().filter(name=name).first()
        if row is None:
            raise NotFound(f"Bot {bot.name} has no current instance {name!r}.")
        before = {field: getattr(row, field) for field in fields}
        if before == fields:
            return 0
        bot.instances.filter(pk=row.pk).update(**fields)
        instances_changed(bot)
        shown = [{"instance": name} | {f: _shown(v) for f, v in values.items()} for values in (before, fields)]
        audit.record(verb, [audit.subject(bot, *shown)], by=by.who, reason=reason)
    return 1


def _shown(value: Any) -> Any:
    return moment(value) if isinstance(value, datetime) else value
