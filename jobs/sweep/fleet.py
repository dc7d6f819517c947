"""Update the health and status of bots in a sweep: regrade stuck ones whose grade may differ, set unseen ones down.

A bot that stays stuck on its job costs a look at that job. Its row is written when its grade changes, and for the
figures in its reason when its job's age has grown by a ninth.
"""

from datetime import datetime

from django.conf import settings

from bots.models import Bot
from bots.states import BotStatus, HealthStatus
from jobs import lifecycle
from jobs.sweep.batches import in_batches
from jobs.sweep.result import Swept
from jobs.sweep.statements import run
from jobsite.lib.planner import any_of


def sweep_bots(swept: Swept, began: datetime) -> None:
    """Regrade bots that are not healthy, and set bots down that were not seen for long."""
    outdated = run("outdated", began=began, run_within=settings.DEFAULT_RUN_WITHIN)
    for ids in in_batches(row["id"] for row in outdated):
        changes = lifecycle.regrade(Bot.objects.stuck().filter(any_of("pk", ids)), wait=False)
        swept.recovered += sum(after == HealthStatus.NORMAL for _, after in changes.values())
    unseen = Bot.objects.unseen(settings.BOT_DOWN_AFTER).exclude(status=BotStatus.DOWN)
    for ids in in_batches(unseen.order_by("pk").values_list("pk", flat=True)):
        lifecycle.mark_down(unseen.filter(any_of("pk", ids)))


def count_bots(swept: Swept) -> None:
    """Count bots by state, from indexes of bots that are not healthy or not seen: healthy bots cost nothing."""
    swept.potentially_stuck = Bot.objects.filter(health_status=HealthStatus.POTENTIALLY_STUCK).count()
    swept.unhealthy = Bot.objects.filter(health_status=HealthStatus.UNHEALTHY).count()
    swept.down = Bot.objects.unseen(settings.BOT_DOWN_AFTER).filter(status=BotStatus.DOWN).count()
