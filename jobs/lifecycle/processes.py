"""Track the processes of a bot: hello, last seen, restarts."""

from collections.abc import Collection
from contextlib import suppress
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from bots import audit
from bots.acts import Act
from bots.models import Bot
from jobs.lifecycle.moves import end, release
from jobs.lifecycle.turn import replaced, take_turn, turn_request
from jobs.lifecycle.values import By, Change
from jobs.models import Job
from jobs.states import Verb
from jobsite.lib import outcomes


def see(bot: Bot, *, version: str | None = None, always: bool = False) -> None:
    """Record that a bot has called. `always` writes even if it was seen recently."""
    take_turn(turn_request(bot.pk, version=version, always=always))


def hello(
    bot: Bot,
    *,
    instance: str,
    version: str | None = None,
    alone: bool = True,
    holds: Collection[tuple[int, int]] | None = None,
    before: str = "",
) -> list[Change]:
    """Record that a bot process starts. With `alone`, release the jobs that its earlier instances still hold.

    With `holds` the process goes on, and these are the leases (job, attempt) that it knows of. They stay, and all
    others go back, of its own instance too: an answer that gave jobs was lost. `before`: its instance until now.
    InstanceReplaced when a newer process has taken over since.
    """
    with transaction.atomic():
        # Under the lock that a claim takes: a claim by an older instance is seen below, or refused from now on.
        current = Bot.objects.select_for_update(no_key=True).get(pk=bot.pk).instance
        if holds is not None and before and current not in ("", before, instance):
            raise replaced(bot.name, current, before)
        Bot.objects.filter(pk=bot.pk).update(instance=instance if alone else "", restart_requested_at=None)
        unknown = _unknown_leases(bot, instance, alone, holds)
        see(bot, version=version, always=True)
    if not unknown:
        return []
    with outcomes.after_commit("This call was carried out in part. Call hello again, as it is."):
        return end(Verb.RELEASE, unknown, By.bot(bot))


def _unknown_leases(
    bot: Bot, instance: str, alone: bool, holds: Collection[tuple[int, int]] | None
) -> list[dict[str, Any]]:
    """The leases that a process which calls hello does not know of, as `end` takes them. Its bot is locked."""
    leases, reason = Job.objects.held_by(bot), f"bot {bot.name} does not know of this job: the answer was lost"
    if holds is None:
        if not alone:
            return []
        leases = leases.exclude(instance=instance)
        reason = f"bot {bot.name} was started again; an earlier process of it held this job"
    elif not alone:
        leases = leases.filter(instance=instance)
    known = set(holds or ())
    return [
        {"id": job, "attempt": attempt, "bot": bot.pk, "reason": reason}
        for job, attempt in leases.values_list("id", "attempt")
        if (job, attempt) not in known
    ]


def take_restart(bot: Bot, instance: str) -> bool:
    """Whether an operator has asked this bot to restart. A bot that never calls hello gets this once.

    It is asked after the work was committed, so it raises nothing: what cannot be written is answered once more.
    """
    if bot.restart_requested_at is None:
        return False
    if not instance:
        asked = Bot.objects.filter(pk=bot.pk, restart_requested_at=bot.restart_requested_at)
        with suppress(*outcomes.ERRORS):
            asked.update(restart_requested_at=None)
    return True


def restart(bots: QuerySet[Bot], *, by: By, reason: str = "") -> tuple[int, list[Change]]:
    """Release what these bots hold, and ask each to restart at its next call. Returns (bots, jobs)."""
    with transaction.atomic(), outcomes.before_commit():
        ids = list(bots.values_list("pk", flat=True))
        held = list(Job.objects.held().filter(claimed_by__in=ids).values_list("id", flat=True))
        changes = release(held, by=by, reason=reason or "its bot was told to restart")
        asked = list(Bot.objects.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True))
        count = Bot.objects.filter(pk__in=ids).update(restart_requested_at=Now())
        released: dict[int | None, list[int]] = {}
        for change in changes:
            released.setdefault(change.bot, []).append(change.id)
        subjects = [audit.subject(bot, after={"released": released.get(bot.pk, [])}) for bot in asked]
        audit.record(Act.RESTART, subjects, by=by.who, reason=reason)
    return count, changes
