"""Update the health and status of bots in a sweep: regrade stuck ones, set unseen ones down."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from django.conf import settings

from bots.models import Bot
from bots.states import BotStatus, HealthStatus
from jobs import lifecycle
from jobs.sweep.result import Swept
from jobsite.lib.planner import any_of


def sweep_bots(swept: Swept, began: datetime) -> None:
    """Regrade bots that are not healthy, and set bots down that were not seen for long."""
    stuck = Bot.objects.stuck().filter(lifecycle.holding())
    # Without those that this sweep has graded by a lease that they still hold.
    stuck = stuck.exclude(stuck_job__isnull=False, health_checked_at__gte=began)
    for ids in chunks(stuck.order_by("pk").values_list("pk", flat=True)):
        changes = lifecycle.regrade(Bot.objects.stuck().filter(any_of("pk", ids)), wait=False)
        swept.recovered += sum(after == HealthStatus.NORMAL for _, after in changes.values())
    unseen = Bot.objects.unseen(settings.BOT_DOWN_AFTER).exclude(status=BotStatus.DOWN)
    for ids in chunks(unseen.order_by("pk").values_list("pk", flat=True)):
        lifecycle.mark_down(unseen.filter(any_of("pk", ids)))


def chunks(ids: Iterable[int]) -> Iterator[list[int]]:
    """Split ids into lists of at most `SWEEP_BATCH`."""
    all_ids = list(ids)
    for start in range(0, len(all_ids), settings.SWEEP_BATCH):
        yield all_ids[start : start + settings.SWEEP_BATCH]


def count_bots(swept: Swept) -> None:
    """Count bots by state, from indexes of bots that are not healthy or not seen: healthy bots cost nothing."""
    swept.potentially_stuck = Bot.objects.filter(health_status=HealthStatus.POTENTIALLY_STUCK).count()
    swept.unhealthy = Bot.objects.filter(health_status=HealthStatus.UNHEALTHY).count()
    swept.down = Bot.objects.unseen(settings.BOT_DOWN_AFTER).filter(status=BotStatus.DOWN).count()
