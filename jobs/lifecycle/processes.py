"""Track the processes of a bot: hello, last seen, restarts."""

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from bots import audit
from bots.acts import Act
from bots.models import Bot
from jobs.lifecycle.moves import end, release
from jobs.lifecycle.turn import take_turn, turn_request
from jobs.lifecycle.values import By, Change
from jobs.models import Job
from jobs.states import Verb


def see(bot: Bot, *, version: str | None = None, always: bool = False) -> None:
    """Record that a bot has called. `always` writes even if it was seen recently."""
    take_turn(turn_request(bot.pk, version=version, always=always))


def hello(bot: Bot, *, instance: str, version: str | None = None, alone: bool = True) -> list[Change]:
    """Record that a bot process starts. With `alone`, release the jobs that its earlier instances still hold."""
    by = By.bot(bot)
    with transaction.atomic():
        changes = []
        if alone:
            # Under the lock that a claim takes: a claim by an older instance is seen below, or refused from now on.
            Bot.objects.select_for_update(no_key=True).get(pk=bot.pk)
            Bot.objects.filter(pk=bot.pk).update(instance=instance, restart_requested_at=None)
        else:
            Bot.objects.filter(pk=bot.pk).update(instance="", restart_requested_at=None)
        see(bot, version=version, always=True)
    if alone:
        reason = f"bot {bot.name} was started again; an earlier process of it held this job"
        earlier = Job.objects.held_by(bot).exclude(instance=instance).values_list("id", "attempt")
        rows = [{"id": i, "attempt": a, "bot": bot.pk, "reason": reason} for i, a in earlier]
        with transaction.atomic():
            changes = end(Verb.RELEASE, rows, by) if rows else []
    return changes


def take_restart(bot: Bot, instance: str) -> bool:
    """Whether an operator has asked this bot to restart. A bot that never calls hello gets this once."""
    if bot.restart_requested_at is None:
        return False
    if not instance:
        Bot.objects.filter(pk=bot.pk, restart_requested_at=bot.restart_requested_at).update(restart_requested_at=None)
    return True


def restart(bots: QuerySet[Bot], *, by: By, reason: str = "") -> tuple[int, list[Change]]:
    """Release what these bots hold, and ask each to restart at its next call. Returns (bots, jobs)."""
    with transaction.atomic():
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
