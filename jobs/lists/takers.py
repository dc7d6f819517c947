"""Count the bots that can take jobs of a kind, and the jobs ahead in the queue."""

from collections.abc import Collection

from django.conf import settings
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.expressions import Case, When
from django.db.models.functions import Coalesce, Now

from bots.instances import Instance
from bots.models import Bot
from bots.states import BotStatus
from jobs.models import Job, JobKind

#: Reasons why a bot that takes a kind cannot take a job now. A bot counts under its first reason.
CANNOT = ("quarantined", "paused", "down", "asking_for_other_kinds", "without_a_free_slot", "at_capacity")
#: Jobs ahead in the queue are counted up to this number.
MAX_AHEAD = 1000


def takers(kind: str) -> dict[str, int]:
    """Count bots that take this kind (`all`), those that can take a job now (`ready`, `idle`), and reasons why not.

    A bot that may take it cannot if none of its instances asked for it at its last claim.
    """
    held = Job.objects.filter(claimed_by=OuterRef("pk")).order_by().values("claimed_by").annotate(n=Count("pk"))
    full = Q(capacity__isnull=False, held__gte=F("capacity"))
    # Of bots all of whose processes say how many slots they have.
    slots = _seen().order_by().values("bot").annotate(n=Sum(F("slots") - F("slots_lost")), known=Count("slots"))
    slots = slots.filter(known=Count("pk"))
    busy = Q(slots__isnull=False, slots__lte=Coalesce(F("held"), 0))
    stands = Case(
        When(quarantined_at__isnull=False, then=Value("quarantined")),
        When(paused=True, then=Value("paused")),
        When(status=BotStatus.DOWN, then=Value("down")),
        When(_asks_for_others(kind), then=Value("asking_for_other_kinds")),
        When(busy, then=Value("without_a_free_slot")),
        When(full, then=Value("at_capacity")),
        When(status=BotStatus.IDLE, then=Value("idle")),
        default=Value("busy"),
    )
    takes = Bot.objects.filter(Q(kinds=[]) | Q(kinds__contains=[kind]))
    takes = takes.annotate(held=Subquery(held.values("n")), slots=Subquery(slots.values("n")))
    counted = takes.annotate(stands=stands).order_by().values_list("stands")
    counts = dict(counted.annotate(n=Count("pk")))
    idle = counts.get("idle", 0)
    ready = idle + counts.get("busy", 0)
    cannot = {name: counts.get(name, 0) for name in CANNOT}
    return {"all": sum(counts.values()), "ready": ready, "idle": idle, **cannot}


def _seen() -> QuerySet[Instance]:
    """The instances of a bot that have called lately."""
    return Instance.objects.seen(settings.BOT_DOWN_AFTER).filter(bot=OuterRef("pk"))


def _asks_for_others(kind: str) -> Q:
    """Bots of which no instance asks for this kind. One whose instances are not seen goes by what it may take."""
    of_bot = _seen()
    asks = of_bot.filter(Q(asked_kinds=None) | Q(asked_kinds__contains=[kind]))
    return ~Q(Exists(asks)) & Q(Exists(of_bot))


def warnings(bot: Bot, asked: Collection[str] | None) -> list[str]:
    """Say which of the kinds that this bot is going to claim it cannot get. None: all that it takes."""
    kinds = sorted(set(bot.kinds if asked is None else asked))
    existing = set(JobKind.objects.filter(name__in=kinds).values_list("name", flat=True))
    found = []
    for kind in kinds:
        if bot.kinds and kind not in bot.kinds:
            found.append(f"Bot {bot.name} may not take jobs of kind {kind}. It takes {', '.join(sorted(bot.kinds))}.")
        elif kind not in existing:
            found.append(f"No job of kind {kind} has ever been enqueued. Is its name right?")
    return found


def jobs_ahead(job: Job, limit: int = MAX_AHEAD) -> int:
    """Count the due jobs of its kind that are ahead of this one in the queue, up to `limit`."""
    ahead = Job.objects.pending().filter(kind=job.kind_id, run_at__lte=Now()).exclude(pk=job.pk)
    ahead = ahead.filter(
        Q(priority__gt=job.priority)
        | Q(priority=job.priority, run_at__lt=job.run_at)
        | Q(priority=job.priority, run_at=job.run_at, pk__lt=job.pk)
    )
    return ahead.order_by("-priority", "run_at", "id")[:limit].count()
