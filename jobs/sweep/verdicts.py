"""What the sweep does with leases and bots, and why. One definition for the sweep, its dry run and `explain`.

Nothing is changed here. `decide` looks at one lease alone; `verdicts` also at what happened to its job before, with one
question for all of a batch.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now

from bots import health
from bots.models import Bot
from jobs.lifecycle import Watched
from jobs.models import JobEvent
from jobs.states import JobStatus, Policy, Verb
from jobsite.lib.planner import among, unplanned

#: How many of the jobs that expired under a bot are named.
NAMED = 20

#: How the error of a job begins that hung its bots.
HUNG = "hung "

Action = Literal["expire", "fail", "flag", "wait"]
#: What each policy does.
_ACTIONS: dict[str, Action] = {Policy.RELEASE: "expire", Policy.FAIL: "fail", Policy.FLAG: "flag"}


@dataclass(frozen=True)
class Verdict:
    """What is to be done with one lease that is due, and why."""

    watch: Watched
    action: Action
    reason: str
    #: The bots the job has hung, when they are too many for another attempt.
    hung: tuple[str, ...] = ()

    @property
    def becomes(self) -> JobStatus | None:
        """The job's status afterwards; None when it stays as it is."""
        if self.action == "expire":
            return JobStatus.FAILED if self.hung or self.watch.last else JobStatus.PENDING
        return JobStatus.FAILED if self.action == "fail" else None

    @property
    def error(self) -> str:
        """What a job that hung its bots ends with."""
        return f"{hung_bots(self.hung)}; the last was {self.watch.grade.reason}"


def hung_bots(names: Sequence[str]) -> str:
    """`hung 3 bots: ada, bob, carl`."""
    return f"{HUNG}{len(names)} bots: {', '.join(names)}"


def decide(watch: Watched) -> tuple[Action, str]:
    """What is to be done with a lease that is due, and why, by its own signals.

    An unstarted job goes back at its first limit. Silent and overdue ones meet their kind's policy at `UNHEALTHY_AT`
    times the limit; when both do, the first policy that does more than flag decides.
    """
    grade = watch.grade
    if grade.signal == "unstarted":
        return "expire", grade.reason
    if not grade.far:
        return "wait", grade.reason
    for signal in grade.far:
        policy = watch.when_silent if signal == "silent" else watch.when_overdue
        if policy != Policy.FLAG:
            return _ACTIONS[policy], grade.reason
    return "flag", grade.reason


def verdicts(watches: Collection[Watched]) -> list[Verdict]:
    """`decide` for each, and whether a job that would go back has hung too many bots for that."""
    decided = [(watch, *decide(watch)) for watch in watches]
    hung = _hung([watch for watch, action, _ in decided if action == "expire"])
    found = []
    for watch, action, reason in decided:
        names = hung.get(watch.lease.job_id, ())
        said = f"{reason}; the job {hung_bots(names)}" if names else reason
        found.append(Verdict(watch, action, said, names))
    return found


def _hung(watches: Collection[Watched]) -> dict[int, tuple[str, ...]]:
    """Jobs that would expire now, and with that under `HUNG_BOTS` different bots; with the bots' names, in order."""
    most = settings.HUNG_BOTS
    # With fewer attempts than that it cannot have met so many bots, and its history need not be read.
    watches = [watch for watch in watches if watch.attempt >= most]
    if not watches or most < 1:
        return {}
    bots: dict[int, dict[int, str]] = {}
    if most > 1:
        for job, bot, name in expiries([watch.lease.job_id for watch in watches]):
            bots.setdefault(job, {})[bot] = name
    hung: dict[int, tuple[dict[int, str], int]] = {}
    for watch in watches:
        before = {bot: name for bot, name in bots.get(watch.lease.job_id, {}).items() if bot != watch.bot_id}
        if len(before) + 1 >= most:
            hung[watch.lease.job_id] = before, watch.bot_id
    if not hung:
        return {}
    holders = dict(Bot.objects.filter(among("pk", {bot for _, bot in hung.values()})).values_list("pk", "name"))
    return {job: (*before.values(), holders[bot]) for job, (before, bot) in hung.items()}


def expiries(jobs: Collection[int]) -> list[tuple[int, int, str]]:
    """`(job, bot, its name)` for each time one of these jobs expired, oldest first; since its last retry, if any."""
    again = JobEvent.objects.filter(job=OuterRef("job"), verb=Verb.RETRY, pk__gt=OuterRef("pk"))
    expired = unplanned(Q(verb=Verb.EXPIRE))
    events = JobEvent.objects.filter(among("job_id", jobs), expired, ~Exists(again), bot__isnull=False)
    return list(events.order_by("pk").values_list("job_id", "bot_id", "bot__name"))


def flapping(bots: Collection[int], more: Mapping[int, Sequence[int]] | None = None) -> dict[int, str]:
    """Those of these bots whose jobs expired too often within the window, and why in figures: `{bot: reason}`.

    Not those in quarantine already; and what expired before an operator cleared a bot does not count. `more` are jobs
    that would expire under each bot now.
    """
    if not bots:
        return {}
    most = max(NAMED, settings.QUARANTINE_EXPIRIES)
    expired = JobEvent.objects.filter(
        Q(bot__cleared_at=None) | Q(at__gt=F("bot__cleared_at")),
        # So that each bot's are found by the bot, and not among all that ended within the window.
        unplanned(Q(verb=Verb.EXPIRE)),
        bot=OuterRef("pk"),
        at__gte=Now() - settings.QUARANTINE_WINDOW,
    ).order_by("-at", "-job_id")
    rows = Bot.objects.filter(among("pk", bots), quarantined_at=None)
    rows = rows.annotate(expired=ArraySubquery(expired.values("job_id")[: most + 1])).order_by("pk")
    found = {}
    for bot, before in rows.values_list("pk", "expired"):
        jobs = [*reversed(before), *(more or {}).get(bot, ())]
        if len(jobs) >= settings.QUARANTINE_EXPIRIES:
            found[bot] = health.flapping(jobs[-most:], settings.QUARANTINE_WINDOW, more=len(jobs) > most)
    return found
