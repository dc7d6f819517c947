"""Which bots can take jobs of a kind, and how many jobs are handed out before one."""

from django.db.models import Count, F, OuterRef, Q, Subquery, Value
from django.db.models.expressions import Case, When
from django.db.models.functions import Now

from bots.models import Bot
from bots.states import BotStatus
from jobs.models import Job

#: Why a bot that takes a kind cannot take one of its jobs now. One that has several reasons stands under the first.
CANNOT = ("quarantined", "paused", "down", "at_capacity")
#: So many jobs before one are counted.
BEFORE = 1000


def takers(kind: str) -> dict[str, int]:
    """How many bots take jobs of this kind (`all`), can take one now (`ready`, `idle` of them), or why they cannot."""
    held = Job.objects.filter(claimed_by=OuterRef("pk")).order_by().values("claimed_by").annotate(n=Count("pk"))
    full = Q(capacity__isnull=False, held__gte=F("capacity"))
    stands = Case(
        When(quarantined_at__isnull=False, then=Value("quarantined")),
        When(paused=True, then=Value("paused")),
        When(status=BotStatus.DOWN, then=Value("down")),
        When(full, then=Value("at_capacity")),
        When(status=BotStatus.IDLE, then=Value("idle")),
        default=Value("busy"),
    )
    takes = Bot.objects.filter(Q(kinds=[]) | Q(kinds__contains=[kind]))
    counted = takes.annotate(held=Subquery(held.values("n")), stands=stands).order_by().values_list("stands")
    counts = dict(counted.annotate(n=Count("pk")))
    idle = counts.get("idle", 0)
    ready = idle + counts.get("busy", 0)
    cannot = {name: counts.get(name, 0) for name in CANNOT}
    return {"all": sum(counts.values()), "ready": ready, "idle": idle, **cannot}


def before(job: Job, most: int = BEFORE) -> int:
    """How many due jobs of its kind are handed out before this one; counting stops at `most`."""
    ahead = Job.objects.pending().filter(kind=job.kind_id, run_at__lte=Now()).exclude(pk=job.pk)
    ahead = ahead.filter(
        Q(priority__gt=job.priority)
        | Q(priority=job.priority, run_at__lt=job.run_at)
        | Q(priority=job.priority, run_at=job.run_at, pk__lt=job.pk)
    )
    return ahead.order_by("-priority", "run_at", "id")[:most].count()
