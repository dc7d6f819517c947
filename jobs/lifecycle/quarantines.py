"""Put instances in quarantine and end that, and note which expiries have been judged."""

from collections.abc import Collection, Mapping
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from bots import audit
from bots.acts import Act
from bots.instances import Instance
from bots.models import Bot
from jobs.lifecycle.processes import instances_changed
from jobs.lifecycle.statements import run
from jobs.lifecycle.values import By
from jobs.models import Job
from jobsite.lib import outcomes
from jobsite.lib.planner import any_of


def quarantine(reasons: Mapping[int, str]) -> None:
    """Quarantine instances (`{instance: reason}`): they get no new jobs but probes."""
    if not reasons:
        return
    with transaction.atomic():
        of = Bot.objects.filter(pk__in=Instance.objects.filter(any_of("pk", reasons)).values("bot")).order_by("pk")
        bots = list(of.select_for_update(no_key=True))
        run("quarantine", rows=[{"id": pk, "reason": reason} for pk, reason in reasons.items()])
        instances_changed(*bots)


def clear_quarantine(bots: QuerySet[Bot], *, by: By, reason: str = "", instance: str | None = None) -> int:
    """End the quarantine of these bots' instances, or only of the one. Only later expiries count.

    Returns how many bots were in quarantine.
    """
    with transaction.atomic(), outcomes.before_commit():
        locked = {bot.pk: bot for bot in bots.order_by("pk").select_for_update(no_key=True, of=("self",))}
        cleared: dict[int, list[str]] = {}
        for row in run("clear_quarantine", bots=list(locked), instance=instance):
            cleared.setdefault(row["bot"], []).append(row["name"])
        changed = [locked[pk] for pk in sorted(cleared)]
        if changed:
            instances_changed(*changed)
        subjects = [audit.subject(bot, *_sides(cleared[bot.pk])) for bot in changed]
        audit.record(Act.CLEAR_QUARANTINE, subjects, by=by.who, reason=reason)
    return len(changed)


def _sides(names: Collection[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A bot's quarantine before and after, with the names of the instances that have one."""
    named = {"instances": sorted(name for name in names if name)} if any(names) else {}
    return {"quarantined": True} | named, {"quarantined": False} | named


def judged(jobs: Collection[int]) -> None:
    """Note that the expiries of these jobs, which have ended, have been judged. The caller holds their row locks."""
    Job.objects.filter(any_of("pk", jobs)).update(not_for=None, not_for_until=None)
