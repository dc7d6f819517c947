"""What a sweep does to bots: grade unhealthy ones again, and mark unseen ones as down."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from django.conf import settings

from bots.models import Bot
from bots.states import BotStatus, HealthStatus
from jobs import lifecycle
from jobs.sweep.result import Swept
from jobsite.lib.planner import among


def sweep_bots(swept: Swept, began: datetime) -> None:
    """Bots that were unwell are graded again; bots not seen for long are down."""
    unwell = Bot.objects.stuck().filter(lifecycle.holding())
    # This sweep has graded them, by a lease that they hold still.
    unwell = unwell.exclude(stuck_job__isnull=False, health_checked_at__gte=began)
    for ids in chunks(unwell.order_by("pk").values_list("pk", flat=True)):
        changes = lifecycle.regrade(Bot.objects.stuck().filter(among("pk", ids)), wait=False)
        swept.recovered += sum(after == HealthStatus.NORMAL for _, after in changes.values())
    unseen = Bot.objects.unseen(settings.BOT_DOWN_AFTER).exclude(status=BotStatus.DOWN)
    for ids in chunks(unseen.order_by("pk").values_list("pk", flat=True)):
        lifecycle.mark_down(unseen.filter(among("pk", ids)))


def chunks(ids: Iterable[int]) -> Iterator[list[int]]:
    every = list(ids)
    for start in range(0, len(every), settings.SWEEP_BATCH):
        yield every[start : start + settings.SWEEP_BATCH]


def count_bots(swept: Swept) -> None:
    """By the indexes over bots that are unwell and unseen, so that well ones cost nothing."""
    swept.potentially_stuck = Bot.objects.filter(health_status=HealthStatus.POTENTIALLY_STUCK).count()
    swept.unhealthy = Bot.objects.filter(health_status=HealthStatus.UNHEALTHY).count()
    swept.down = Bot.objects.unseen(settings.BOT_DOWN_AFTER).filter(status=BotStatus.DOWN).count()
