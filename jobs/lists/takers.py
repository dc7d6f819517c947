"""Count the bots that can take jobs of a kind, and the jobs ahead in the queue."""

from django.db.models import Count, F, OuterRef, Q, Subquery, Value
from django.db.models.expressions import Case, When
from django.db.models.functions import Now

from bots.models import Bot
from bots.states import BotStatus
from jobs.models import Job

#: Reasons why a bot that takes a kind cannot take a job now. A bot counts under its first reason.
CANNOT = ("quarantined", "paused", "down", "at_capacity")
#: Jobs ahead in the queue are counted up to this number.
MAX_AHEAD = 1000


def takers(kind: str) -> dict[str, int]:
    """Count bots that take this kind (`all`), those that can take a job now (`ready`, `idle`), and reasons why not."""
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


def jobs_ahead(job: Job, limit: int = MAX_AHEAD) -> int:
    """Count the due jobs of its kind that are ahead of this one in the queue, up to `limit`."""
    ahead = Job.objects.pending().filter(kind=job.kind_id, run_at__lte=Now()).exclude(pk=job.pk)
    ahead = ahead.filter(
        Q(priority__gt=job.priority)
        | Q(priority=job.priority, run_at__lt=job.run_at)
        | Q(priority=job.priority, run_at=job.run_at, pk__lt=job.pk)
    )
    return ahead.order_by("-priority", "run_at", "id")[:limit].count()
