"""Update the status (busy or idle) and health of bots from their leases."""

from collections.abc import Collection, Iterable

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from bots import health
from bots.models import Bot
from bots.states import BotStatus, HealthStatus
from jobs.lifecycle.leases import LeaseCheck, check_leases
from jobs.lifecycle.statements import run
from jobs.models import Job
from jobs.time_limits import past_a_limit
from jobsite.lib.planner import any_of, fenced


def mark_down(bots: QuerySet[Bot]) -> None:
    """Set these bots down. Skips those whose rows are locked, perhaps by a call of theirs."""
    with transaction.atomic():
        free = bots.order_by("pk").select_for_update(no_key=True, skip_locked=True)
        Bot.objects.filter(any_of("pk", list(free.values_list("pk", flat=True)))).update(status=BotStatus.DOWN)


def holding() -> Exists:
    """A condition on bots: it holds a job."""
    return Exists(Job.objects.filter(claimed_by=OuterRef("pk")))


#: A bot's health: grade, reason and stuck job.
Health = tuple[str, str, int | None]


def lock_bots(bots: QuerySet[Bot], *, wait: bool = True) -> dict[int, Health]:
    """Lock these bots, in order, and return their health. Without `wait`, skip those that are locked."""
    rows = bots.order_by("pk").select_for_update(no_key=True, skip_locked=not wait)
    return {row[0]: row[1:] for row in rows.values_list("pk", "health_status", "health_reason", "stuck_job_id")}


def regrade(bots: QuerySet[Bot], *, wait: bool = True) -> dict[int, tuple[str, str]]:
    """Grade bots by the leases that they hold. Returns `{id: (before, after)}` of those whose health changed.

    A bot that holds nothing is skipped: it keeps its grade until it calls, or one of its leases ends. Without `wait` a
    bot whose row is locked is skipped, too.
    """
    with transaction.atomic():
        return regrade_locked(lock_bots(bots, wait=wait))


def regrade_locked(before: dict[int, Health], seen: Collection[LeaseCheck] = ()) -> dict[int, tuple[str, str]]:
    """`regrade` for bots that this transaction has locked, in a statement that sees all changes until then.

    `seen`: leases of these bots that the caller has locked and checked; they are not read again.
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


def _grades(bot_ids: list[int], seen: Collection[LeaseCheck]) -> dict[int, Health]:
    """The health of those of these bots that hold a job: that of their worst lease."""
    if not bot_ids:
        return {}
    # Only leases past a limit are read: a bot without any is healthy.
    grades: dict[int, list[health.Grade]] = {}
    stuck = Job.objects.filter(any_of("claimed_by", bot_ids), fenced(past_a_limit())).order_by()
    if seen:
        stuck = stuck.exclude(any_of("pk", [check.lease.job_id for check in seen]))
    for check in (*seen, *check_leases(stuck)):
        grades.setdefault(check.bot_id, []).append(check.grade)
    rest = set(bot_ids) - set(grades)
    if rest:
        for bot_id in Bot.objects.filter(any_of("pk", rest), holding()).values_list("pk", flat=True):
            grades[bot_id] = []
    health_of: dict[int, Health] = {}
    for bot_id, bot_grades in grades.items():
        worst = health.worst(bot_grades)
        if worst is None or worst.status == HealthStatus.NORMAL:
            health_of[bot_id] = (HealthStatus.NORMAL, "", None)
        else:
            health_of[bot_id] = (worst.status, worst.reason, worst.job_id)
    return health_of


def touch(bot_ids: Iterable[int | None], *, keep_health: bool = False) -> None:
    """Update bots after others changed their leases. The caller has locked the jobs."""
    ids = sorted({bot_id for bot_id in bot_ids if bot_id is not None})
    if not ids:
        return
    before = lock_bots(Bot.objects.filter(any_of("pk", ids)))
    run("touch_bots", bots=ids, keep=keep_health)
    stuck = [bot_id for bot_id, (status, _, _) in before.items() if status != HealthStatus.NORMAL]
    if stuck and not keep_health:
        # A bot that holds another stuck job is not healthy (DESIGN 4.6).
        regrade(Bot.objects.filter(any_of("pk", stuck)))
