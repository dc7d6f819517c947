"""Track the instances of a bot: hello, goodbye, last seen."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from bots.models import Bot
from jobs.lifecycle.moves import end
from jobs.lifecycle.statements import run
from jobs.lifecycle.turn import Slots, TurnRow, replaced, take_turn, turn_request
from jobs.lifecycle.values import By, Change
from jobs.models import Job
from jobs.states import Verb
from jobs.turns import notifications
from jobsite.lib import outcomes

#: A job and the attempt under which it is held.
Lease = tuple[int, int]


def see(bot: Bot, *, version: str | None = None, always: bool = False) -> None:
    """Record that a bot has called. `always` writes even if it was seen recently."""
    take_turn(turn_request(bot.pk, version=version, always=always, instance=None))


def attend(
    bot: Bot, instance: str, *, version: str | None = None, always: bool = True, slots: Slots | None = None
) -> TurnRow:
    """Record that an instance has called, and return what operators want of it.

    `always` as for `see`. InstanceReplaced when a newer instance has come in its place.
    """
    return take_turn(turn_request(bot.pk, version=version, always=always, instance=instance, slots=slots))


def lost_leases(bot: Bot, holds: Collection[Lease]) -> tuple[list[Lease], list[Lease]]:
    """Those of these leases (job, attempt) that the bot no longer holds, and among them those that were cancelled."""
    ids, attempts = [job for job, _ in holds], [attempt for _, attempt in holds]
    rows = run("lost", bot=bot.pk, ids=ids, attempts=attempts)
    lost = [(row["id"], row["attempt"]) for row in rows]
    return lost, [(row["id"], row["attempt"]) for row in rows if row["cancelled"]]


def hello(
    bot: Bot,
    *,
    instance: str,
    identity: str | None = None,
    alone: bool = True,
    host: str = "",
    pid: int | None = None,
    version: str | None = None,
    holds: Collection[Lease] | None = None,
    slots: Slots | None = None,
    before: str = "",
) -> list[Change]:
    """Record that an instance starts, and release what older instances of its identity still hold.

    Without an identity it has the empty one, with which a bot has one process at a time, and its own name if it is not
    `alone`. With `holds` the process goes on, and these are the leases that it knows of. They stay, and all others of
    its identity go back, its own too: an answer that gave jobs was lost. `before`: its instance until now.
    InstanceReplaced when a newer process has taken over since.
    """
    if identity is None:
        identity = "" if alone else instance
    fields: dict[str, Any] = {"identity": identity, "host": host, "pid": pid, "version": version or ""}
    if slots is not None:
        fields |= {"slots": slots[0], "slots_lost": slots[1]}
    with transaction.atomic():
        # Under the lock that a claim takes: a claim by an older instance is seen below, or refused from now on.
        Bot.objects.select_for_update(no_key=True).get(pk=bot.pk)
        if holds is not None:
            fields["restart_requested_at"] = _going_on(bot, instance, before)
        fields |= _taken_over(bot, instance, identity, goes_on=holds is not None)
        _write(bot, instance, fields)
        unknown, kept = _leases(bot, instance, identity, holds)
        see(bot, version=version, always=True)
    with outcomes.after_commit("This call was carried out in part. Call hello again, as it is."):
        if kept:
            # Its jobs, under its new name: goodbye releases them by it.
            ids, attempts = [job for job, _ in kept], [attempt for _, attempt in kept]
            run("renamed", ids=ids, attempts=attempts, bot=bot.pk, instance=instance)
        return end(Verb.RELEASE, unknown, By.bot(bot)) if unknown else []


def _going_on(bot: Bot, instance: str, before: str) -> datetime | None:
    """When an operator asked a process to restart that goes on. InstanceReplaced if another has taken over."""
    former = list(bot.instances.filter(name__in=(before, instance)))
    for one in former:
        if before == one.name != "" and one.replaced_by not in ("", instance):
            raise replaced(bot.name, one.replaced_by, before)
    return max((one.restart_requested_at for one in former if one.restart_requested_at is not None), default=None)


def _write(bot: Bot, name: str, fields: dict[str, Any]) -> None:
    """Write the row of an instance that starts, and end the older ones of its identity. Its bot is locked."""
    started = {"restart_requested_at": None, "last_seen_at": Now(), "ended_at": None, "replaced_by": ""} | fields
    bot.instances.update_or_create(name=name, defaults=started)
    older = bot.instances.current().filter(identity=fields["identity"]).exclude(name=name)
    older.update(ended_at=Now(), replaced_by=name)
    if not fields["identity"]:
        Bot.objects.filter(pk=bot.pk).update(instance=name)
    instances_changed(bot)


def _taken_over(bot: Bot, name: str, identity: str, *, goes_on: bool) -> dict[str, Any]:
    """The quarantine that an instance takes over from the last one of its identity. One that starts is probed at once.

    Its bot is locked.
    """
    fields = ("quarantined_at", "quarantine_reason", "probe_at", "probe_level")
    of_identity = bot.instances.filter(identity=identity).exclude(name=name).order_by("-started_at", "-pk")
    last: dict[str, Any] | None = of_identity.values(*fields).first()
    if last is None or last["quarantined_at"] is None:
        return {}
    return last if goes_on else last | {"probe_at": Now()}


def instances_changed(*bots: Bot) -> None:
    """Let the claims of these bots see what became of their instances, those that wait too. The bots are locked."""
    ids = [bot.pk for bot in bots]
    Bot.objects.filter(pk__in=ids).update(instances_changed_at=Now())
    notifications.recall(ids)


def _leases(
    bot: Bot, name: str, identity: str, holds: Collection[Lease] | None
) -> tuple[list[dict[str, Any]], list[Lease]]:
    """Leases of its identity that an instance which calls hello does not know of, as `end` takes them.

    And those of older instances that it does know of. Its bot is locked.
    """
    reason = f"bot {bot.name} does not know of this job: the answer was lost"
    if holds is None:
        reason = f"bot {bot.name} was started again; an earlier process of it held this job"
    held = list(Job.objects.held_by(bot).values_list("id", "attempt", "instance"))
    identities = dict(bot.instances.filter(name__in={row[2] for row in held}).values_list("name", "identity"))
    known, unknown, kept = set(holds or ()), [], []
    for job, attempt, instance in held:
        own = instance == name
        if identities.get(instance, "") != identity or (own and holds is None):
            continue
        if (job, attempt) not in known:
            unknown.append({"id": job, "attempt": attempt, "bot": bot.pk, "reason": reason})
        elif not own:
            kept.append((job, attempt))
    return unknown, kept


def goodbye(bot: Bot, instance: str) -> list[Change]:
    """End an instance: release all that it holds, end its waiting claims and refuse its later ones."""
    with transaction.atomic():
        Bot.objects.select_for_update(no_key=True).get(pk=bot.pk)
        ended = {"ended_at": Now(), "last_seen_at": Now()}
        if not bot.instances.current().filter(name=instance).update(**ended):
            bot.instances.get_or_create(name=instance, defaults=ended)
        Bot.objects.filter(pk=bot.pk, instance=instance).update(instance="")
        instances_changed(bot)
        reason = f"bot {bot.name} called goodbye"
        held = Job.objects.held_by(bot).filter(instance=instance).values_list("id", "attempt")
        rows = [{"id": job, "attempt": attempt, "bot": bot.pk, "reason": reason} for job, attempt in held]
    if not rows:
        return []
    with outcomes.after_commit("This call was carried out in part. Call goodbye again, as it is."):
        return end(Verb.RELEASE, rows, By.bot(bot))


def take_restart(bot: Bot, instance: str) -> bool:
    """Whether an operator has asked this instance to restart, which goes on after a hello. It is answered once."""
    asked = bot.instances.filter(name=instance, restart_requested_at__isnull=False)
    return bool(asked.update(restart_requested_at=None))
