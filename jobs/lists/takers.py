"""Count the bots that can take jobs of a kind, and the jobs ahead in the queue."""

from collections import Counter
from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.contrib.postgres.aggregates import JSONBAgg
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.expressions import Case, When
from django.db.models.functions import Coalesce, Now

from bots.instances import Instance, in_quarantine, paused_now
from bots.models import Bot
from bots.states import BotStatus
from jobs.models import Job, JobKind

#: Reasons why a bot that takes a kind cannot take a job now. A bot counts under its first reason.
CANNOT = ("quarantined", "paused", "down", "asking_for_other_kinds", "without_a_free_slot", "at_capacity")
#: Jobs ahead in the queue are counted up to this number.
MAX_AHEAD = 1000


def takers(kind: str) -> dict[str, int]:
    """Count bots that take this kind (`all`), those that can take a job now (`ready`, `idle`), and reasons why not."""
    return takers_of([kind])[kind]


def takers_of(kinds: Collection[str]) -> dict[str, dict[str, int]]:
    """Count the same for each of these kinds, in one query.

    A bot that may take a kind cannot if none of its instances asked for it at its last claim.
    """
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    for takes, first, asked, then, n in _groups(kinds):
        for kind in kinds if not takes else counts.keys() & takes:
            asks = asked is None or any(some is None or kind in some for some in asked)
            counts[kind][first or (then if asks else "asking_for_other_kinds")] += n
    return {
        kind: {
            "all": found.total(), "ready": found["idle"] + found["busy"], "idle": found["idle"],
            **{name: found[name] for name in CANNOT},
        }
        for kind, found in counts.items()
    }  # fmt: skip


def _groups(kinds: Collection[str]) -> QuerySet[Bot, tuple[Any, ...]]:
    """Bots that may take one of these kinds, in groups that are alike, with the number of each.

    Columns: kinds; why it cannot take a job whatever it asks for; what each instance asks for; how it stands otherwise.
    """
    held = Job.objects.filter(claimed_by=OuterRef("pk")).order_by().values("claimed_by").annotate(n=Count("pk"))
    full = Q(capacity__isnull=False, held__gte=F("capacity"))
    # Of bots all of whose processes say how many slots they have.
    seen = _seen().order_by().values("bot")
    slots = seen.annotate(n=Sum(F("slots") - F("slots_lost")), known=Count("slots")).filter(known=Count("pk"))
    first = Case(
        When(_in_quarantine(), then=Value("quarantined")),
        When(paused_now(), then=Value("paused")),
        When(status=BotStatus.DOWN, then=Value("down")),
        default=Value(""),
    )
    then = Case(
        When(slots__isnull=False, slots__lte=Coalesce(F("held"), 0), then=Value("without_a_free_slot")),
        When(full, then=Value("at_capacity")),
        When(status=BotStatus.IDLE, then=Value("idle")),
        default=Value("busy"),
    )
    # NULL: no instance of it is seen, and it goes by what it may take.
    asked = seen.annotate(asked=JSONBAgg("asked_kinds")).values("asked")
    takes = Bot.objects.filter(Q(kinds=[]) | Q(kinds__overlap=list(kinds)))
    takes = takes.annotate(held=Subquery(held.values("n")), slots=Subquery(slots.values("n")), asked=Subquery(asked))
    return takes.order_by().values_list("kinds", first, "asked", then).annotate(n=Count("pk"))


def _in_quarantine() -> Q:
    """Bots of which an instance is in quarantine, and none that is seen is not."""
    return Q(in_quarantine()) & ~Q(Exists(_seen().filter(quarantined_at=None)))


def _seen() -> QuerySet[Instance]:
    """The instances of a bot that have called lately."""
    return Instance.objects.seen(settings.BOT_DOWN_AFTER).filter(bot=OuterRef("pk"))


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
    """Count the due jobs of its kind, and of its group if it has one, that are ahead of this one, up to `limit`."""
    lane = Job.objects.pending().filter(kind=job.kind_id, gated=job.gated)
    lane = lane.filter(group_name=job.group_name) if job.gated else lane
    ahead = lane.filter(run_at__lte=Now()).exclude(pk=job.pk)
    ahead = ahead.filter(
        Q(priority__gt=job.priority)
        | Q(priority=job.priority, run_at__lt=job.run_at)
        | Q(priority=job.priority, run_at=job.run_at, pk__lt=job.pk)
    )
    return ahead.order_by("-priority", "run_at", "id")[:limit].count()
