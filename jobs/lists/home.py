"""Data for Home: stuck jobs, bots that need attention, the fleet, recent interventions."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Value, prefetch_related_objects
from django.db.models.expressions import Case, When, Window
from django.db.models.functions import Now, RowNumber

from bots.instances import in_quarantine
from bots.models import Bot, quarantines, was_stuck
from bots.states import BotStatus, HealthStatus
from jobs.limits import Gate
from jobs.lists import stuck
from jobs.lists.stuck import READ, Stuck
from jobs.models import JobEvent
from jobs.states import Actor
from jobs.transitions import ENDING
from jobsite.lib.planner import any_of

#: The most bots of a sort, and shut gates, on Home. The lists have them all.
MAX_SHOWN = 8
#: The most bots with a tile. Of a larger fleet only those that are not well have one.
TILES = 60
#: Interventions on Home.
RECENT = 8
#: The states of `ranked` in which a bot is well.
WELL = ("busy", "idle")


@dataclass(frozen=True)
class Needs:
    """What needs an operator now: stuck leases, and bots that are ill for another reason, the worst first."""

    stuck: Stuck
    #: The names of the bots that hold those that are shown.
    names: dict[int, str]
    #: Bots whose stuck job went back to the queue, and that have not called since, with `ended_at`.
    lost: Sequence[Bot]
    quarantined: Sequence[Bot]

    @property
    def calm(self) -> bool:
        return not (self.stuck.groups or self.lost or self.quarantined)


def needs_now() -> Needs:
    """Return stuck leases in groups, and bots that need an operator for another reason."""
    found = stuck.stuck()
    holders, shown = found.bot_ids, stuck.holders_shown(found.shown)
    # One query for the bots of the jobs that are shown, and for those that are ill for another reason.
    rows = Bot.objects.filter(was_stuck() | Q(in_quarantine()) | Q(pk__in=shown)).order_by("name")
    rows = rows.annotate(ended_at=Case(When(was_stuck(), then=last_expiry())), suspect=in_quarantine())
    bots = list(rows.only("name", "health_reason")[:READ])
    quarantined = [bot for bot in bots if bot.suspect and bot.pk not in holders]
    if quarantined:
        prefetch_related_objects(quarantined, quarantines())
    lost = [bot for bot in bots if not bot.suspect and bot.pk not in holders]
    return Needs(found, {bot.pk: bot.name for bot in bots}, lost, quarantined)


def needs_of(kinds: Collection[str]) -> Needs:
    """Return the stuck leases of these kinds alone."""
    found = stuck.stuck()
    found = replace(found, groups=[group for group in found.groups if group.kind in kinds])
    shown = Bot.objects.filter(any_of("pk", stuck.holders_shown(found.groups)))
    names = dict(shown.values_list("pk", "name"))
    return Needs(found, names, [], [])


def last_expiry() -> Subquery:
    """When the sweep last ended a lease of a bot: until then it was stuck, if it is no more."""
    ended = JobEvent.objects.filter(bot=OuterRef("pk"), actor=Actor.SWEEP, verb__in=ENDING).order_by("-at")
    return Subquery(ended.values("at")[:1])


def shut_gates() -> list[Gate]:
    """Kinds and groups that a throttle shuts now, the one that opens last first."""
    return list(Gate.objects.filter(shut_until__gt=Now()).order_by("-shut_until")[:MAX_SHOWN])


def ranked(bots: QuerySet[Bot]) -> QuerySet[Any]:
    """Annotate `rank`, the bot's most important state with a digit in front, the worst first."""
    word = Case(
        When(health_status=HealthStatus.UNHEALTHY, stuck_job__isnull=False, then=Value("1unhealthy")),
        When(in_quarantine(), then=Value("2quarantined")),
        When(was_stuck(), then=Value("4was_stuck")),
        When(health_status=HealthStatus.POTENTIALLY_STUCK, then=Value("3potentially_stuck")),
        When(status=BotStatus.DOWN, then=Value("5down")),
        When(paused=True, then=Value("6paused")),
        When(status=BotStatus.BUSY, then=Value("7busy")),
        default=Value("8idle"),
    )
    return bots.annotate(rank=word)


@dataclass(frozen=True)
class Fleet:
    """The fleet as at most `TILES` tiles, of a large one for those that are not well, and counts of all."""

    tiles: list[tuple[Bot, str]]
    #: `(state, number)`, the worst first.
    counts: list[tuple[str, int]]

    @property
    def total(self) -> int:
        return sum(n for _, n in self.counts)

    @property
    def ill(self) -> int:
        return sum(n for state, n in self.counts if state not in WELL)

    @property
    def without_tile(self) -> int:
        """How many that are not well have none."""
        return max(0, self.ill - len(self.tiles))


def fleet() -> Fleet:
    """Return all bots, or of a large fleet those that are not well, with counts of all."""
    # Of each state its first bots, and how many there are.
    place = Window(RowNumber(), partition_by="rank", order_by="name")
    bots = ranked(Bot.objects.only("name")).annotate(place=place, of_rank=Window(Count("pk"), partition_by="rank"))
    shown = [(bot, bot.rank[1:], bot.of_rank) for bot in bots.filter(place__lte=TILES).order_by("rank", "name")]
    counts = {state: n for _, state, n in shown}
    small = sum(counts.values()) <= TILES
    tiles = [(bot, state) for bot, state, _ in shown if small or state not in WELL]
    return Fleet(tiles[:TILES], list(counts.items()))


def interventions() -> list[JobEvent]:
    """Return the last interventions of operators."""
    return list(JobEvent.objects.filter(actor=Actor.OPERATOR).order_by("-at").defer("detail")[:RECENT])
