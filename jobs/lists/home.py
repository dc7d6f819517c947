"""Data for Home: stuck jobs, bots that need attention, the fleet, recent interventions."""

from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Q, QuerySet, Value
from django.db.models.expressions import Case, When
from django.db.models.functions import Now

from bots.health import Grade
from bots.instances import in_quarantine
from bots.models import Bot
from bots.states import BotStatus, HealthStatus
from jobs import lifecycle
from jobs.limits import Gate
from jobs.models import Job, JobEvent
from jobs.states import Actor

#: The most stuck jobs and bots on Home. The lists have them all.
MAX_SHOWN = 8
#: The most bots with a tile: in a larger fleet, those in the worst state.
TILES = 240
#: Interventions on Home.
RECENT = 8


@dataclass(frozen=True)
class StuckJob:
    """A lease past one of its limits, with the evidence."""

    id: int
    kind: str
    bot: Bot
    grade: Grade


@dataclass(frozen=True)
class Needs:
    """Jobs and bots that need an operator now, the worst first."""

    jobs: list[StuckJob]
    bots: list[Bot]
    more: bool

    @property
    def calm(self) -> bool:
        return not self.jobs and not self.bots


def needs_now() -> Needs:
    """Return stuck leases, and bots that need an operator for another reason."""
    worst = Job.objects.stuck().order_by("heartbeat_at").values("pk")[: MAX_SHOWN + 1]
    checks = lifecycle.check_leases(Job.objects.filter(pk__in=worst))
    # One query for the bots of these jobs and for those that are not healthy or in quarantine.
    attention = ~Q(health_status=HealthStatus.NORMAL) | Q(in_quarantine())
    rows = Bot.objects.filter(attention | Q(pk__in=[check.bot_id for check in checks])).order_by("name")
    bots = {bot.pk: bot for bot in rows.with_quarantines()[: MAX_SHOWN * 3]}
    jobs = [
        StuckJob(check.lease.job_id, check.lease.kind, bots[check.bot_id], check.grade)
        for check in checks
        if check.bot_id in bots
    ]
    jobs = sorted((job for job in jobs if job.grade.signal), key=lambda job: -job.grade.ratio)
    named = {job.bot.pk for job in jobs}
    others = [
        bot
        for bot in bots.values()
        if bot.pk not in named and (bot.quarantines or bot.health_status != HealthStatus.NORMAL)
    ]
    return Needs(jobs[:MAX_SHOWN], others[:MAX_SHOWN], len(jobs) > MAX_SHOWN or len(others) > MAX_SHOWN)


def shut_gates() -> list[Gate]:
    """Kinds and groups that a throttle shuts now, the one that opens last first."""
    return list(Gate.objects.filter(shut_until__gt=Now()).order_by("-shut_until")[:MAX_SHOWN])


def ranked(bots: QuerySet[Bot]) -> QuerySet[Any]:
    """Annotate `rank`, the bot's most important state with a digit in front, the worst first."""
    word = Case(
        When(health_status=HealthStatus.UNHEALTHY, then=Value("1unhealthy")),
        When(in_quarantine(), then=Value("2quarantined")),
        When(health_status=HealthStatus.POTENTIALLY_STUCK, then=Value("3potentially_stuck")),
        When(status=BotStatus.DOWN, then=Value("4down")),
        When(paused=True, then=Value("5paused")),
        When(status=BotStatus.BUSY, then=Value("6busy")),
        default=Value("7idle"),
    )
    return bots.annotate(rank=word)


@dataclass(frozen=True)
class Fleet:
    """The fleet as tiles, one for each bot up to `TILES`, and the number of bots in each state."""

    tiles: list[tuple[Bot, str]]
    total: int
    #: `(state, number)`, the worst first.
    counts: list[tuple[str, int]] = field(default_factory=list)

    @property
    def without_tile(self) -> int:
        return self.total - len(self.tiles)


def fleet() -> Fleet:
    """Return all bots, or of a large fleet those in the worst state, with counts of all."""
    bots = ranked(Bot.objects.all())
    shown = list(bots.order_by("rank", "name").defer("kinds", "token_digest")[: TILES + 1])
    tiles = [(bot, bot.rank[1:]) for bot in shown[:TILES]]
    if len(shown) <= TILES:
        states = [state for _, state in tiles]
        counts = [(state, states.count(state)) for state in dict.fromkeys(states)]
        return Fleet(sorted(tiles, key=lambda tile: tile[0].name), len(shown), counts)
    groups = bots.order_by("rank").values_list("rank").annotate(n=Count("pk"))
    counts = [(rank[1:], n) for rank, n in groups]
    return Fleet(tiles, sum(n for _, n in counts), counts)


def interventions() -> list[JobEvent]:
    """Return the last interventions of operators."""
    return list(JobEvent.objects.filter(actor=Actor.OPERATOR).order_by("-at").defer("detail")[:RECENT])
