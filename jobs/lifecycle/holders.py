"""The state of bots as their leases say it: busy or idle, and their health."""

from collections.abc import Collection, Iterable, Mapping

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from bots import health
from bots.models import Bot
from bots.states import BotStatus, HealthStatus
from jobs.lifecycle.leases import Watched, watched
from jobs.lifecycle.statements import run
from jobs.models import Job
from jobs.time_limits import past_a_limit
from jobsite.lib.planner import among, unplanned


def quarantine(reasons: Mapping[int, str]) -> None:
    """No new jobs for these bots (`{bot: why}`) until an operator clears them. The caller holds their row locks."""
    rows = [{"id": bot_id, "reason": reason} for bot_id, reason in reasons.items()]
    if rows:
        run("quarantine", rows=rows)


def mark_down(bots: QuerySet[Bot]) -> None:
    """These bots are down, where nobody has their rows locked: who has is a call of theirs, perhaps."""
    with transaction.atomic():
        free = bots.order_by("pk").select_for_update(no_key=True, skip_locked=True)
        Bot.objects.filter(among("pk", list(free.values_list("pk", flat=True)))).update(status=BotStatus.DOWN)


def holding() -> Exists:
    """A condition on bots: those that hold any job."""
    return Exists(Job.objects.filter(claimed_by=OuterRef("pk")))


#: A bot's health: grade, reason and stuck job.
Health = tuple[str, str, int | None]


def locked(bots: QuerySet[Bot], *, wait: bool = True) -> dict[int, Health]:
    """Lock these bots, in order, and say how they are. Without `wait`, only those that nobody else has locked."""
    rows = bots.order_by("pk").select_for_update(no_key=True, skip_locked=not wait)
    return {row[0]: row[1:] for row in rows.values_list("pk", "health_status", "health_reason", "stuck_job_id")}


def regrade(bots: QuerySet[Bot], *, wait: bool = True) -> dict[int, tuple[str, str]]:
    """Grade bots by what they hold now. Returns `{id: (before, after)}` of those whose health changed.

    A bot that holds nothing is left alone: its last grade stands until it calls, or one of its leases ends. Without
    `wait` so is a bot whose row somebody else has locked.
    """
    with transaction.atomic():
        return regrade_locked(locked(bots, wait=wait))


def regrade_locked(before: dict[int, Health], seen: Collection[Watched] = ()) -> dict[int, tuple[str, str]]:
    """`regrade` for bots that this transaction has `locked`, in a statement that sees what others did until then.

    `seen` are leases of these bots that the caller has locked and just looked at; they are not read again.
    """
    after = _grades(list(before), seen)
    rows = [
        {"id": bot_id, "status": status, "reason": reason, "stuck_job": stuck}
        for bot_id, (status, reason, stuck) in after.items()
        if before[bot_id] != (status, reason, stuck)
    ]
    if rows:
        run("grade", rows=rows)
    return {i: (before[i][0], str(now[0])) for i, now in after.items() if before[i][0] != now[0]}


def _grades(bot_ids: list[int], seen: Collection[Watched]) -> dict[int, Health]:
    """How those of these bots are that hold anything: as their worst lease is."""
    if not bot_ids:
        return {}
    # Only leases past a limit are read: where there are none, the bot is well, whatever it holds.
    grades: dict[int, list[health.Grade]] = {}
    stuck = Job.objects.filter(among("claimed_by", bot_ids), unplanned(past_a_limit())).order_by()
    if seen:
        stuck = stuck.exclude(among("pk", [watch.lease.job_id for watch in seen]))
    for watch in (*seen, *watched(stuck)):
        grades.setdefault(watch.bot_id, []).append(watch.grade)
    rest = set(bot_ids) - set(grades)
    if rest:
        for bot_id in Bot.objects.filter(among("pk", rest), holding()).values_list("pk", flat=True):
            grades[bot_id] = []
    found: dict[int, Health] = {}
    for bot_id, of_bot in grades.items():
        worst = health.worst(of_bot)
        if worst is None or worst.status == HealthStatus.NORMAL:
            found[bot_id] = (HealthStatus.NORMAL, "", None)
        else:
            found[bot_id] = (worst.status, worst.reason, worst.job_id)
    return found


def touch(bot_ids: Iterable[int | None], *, keep_health: bool = False) -> None:
    """Make bots' rows true after their leases were changed by others. The caller has locked the jobs already."""
    ids = sorted({bot_id for bot_id in bot_ids if bot_id is not None})
    if not ids:
        return
    before = locked(Bot.objects.filter(among("pk", ids)))
    run("touch_bots", bots=ids, keep=keep_health)
    unwell = [bot_id for bot_id, (status, _, _) in before.items() if status != HealthStatus.NORMAL]
    if unwell and not keep_health:
        # It may hold another job that is stuck, and then it is not well (DESIGN 4.6).
        regrade(Bot.objects.filter(among("pk", unwell)))
