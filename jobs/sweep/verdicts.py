"""Decide what the sweep does with leases and bots. The one definition for the sweep, its dry run and `explain`.

Nothing is changed here. `decide` considers one lease; `decide_all` also the history of its job, with one query for a
batch.
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
from jobs import attempts
from jobs.lifecycle import LeaseCheck
from jobs.models import JobEvent
from jobs.states import JobStatus, Policy, Verb
from jobsite.lib.planner import any_of, fenced

#: How many of the jobs that expired under a bot are named in its reason.
MAX_JOBS_NAMED = 20

#: The beginning of the error of a job that hung its bots.
HUNG = "hung "

Action = Literal["expire", "fail", "flag", "wait"]
#: The action of each policy.
_ACTIONS: dict[str, Action] = {Policy.RELEASE: "expire", Policy.FAIL: "fail", Policy.FLAG: "flag"}


@dataclass(frozen=True)
class Decision:
    """The action for one due lease, and the reason."""

    check: LeaseCheck
    action: Action
    reason: str
    #: The bots the job has hung, when they are too many for another attempt.
    hung: tuple[str, ...] = ()

    @property
    def becomes(self) -> JobStatus | None:
        """The job's status afterwards; None when it stays as it is."""
        if self.action == "expire":
            return JobStatus.FAILED if self.hung or self.check.last else JobStatus.PENDING
        return JobStatus.FAILED if self.action == "fail" else None

    @property
    def error(self) -> str:
        """The error of a job that hung its bots."""
        return f"{hung_bots(self.hung)}; the last was {self.check.grade.reason}"


def hung_bots(names: Sequence[str]) -> str:
    """`hung 3 bots: ada, bob, carl`."""
    return f"{HUNG}{len(names)} bots: {', '.join(names)}"


def decide(check: LeaseCheck) -> tuple[Action, str]:
    """Choose the action for a due lease, with the reason, by its own signals.

    An unstarted job expires at its first limit. For silent and overdue ones the kind's policy applies at `UNHEALTHY_AT`
    times the limit; when both are, the first policy other than flag decides.
    """
    grade = check.grade
    if grade.signal == "unstarted":
        return "expire", grade.reason
    if not grade.far:
        return "wait", grade.reason
    for signal in grade.far:
        policy = check.when_silent if signal == "silent" else check.when_overdue
        if policy != Policy.FLAG:
            return _ACTIONS[policy], grade.reason
    return "flag", grade.reason


def decide_all(checks: Collection[LeaseCheck]) -> list[Decision]:
    """`decide` for each, and fail a job that would be pending again but has hung too many bots."""
    decided = [(check, *decide(check)) for check in checks]
    hung = _hung([check for check, action, _ in decided if action == "expire"])
    decisions = []
    for check, action, reason in decided:
        names = hung.get(check.lease.job_id, ())
        full_reason = f"{reason}; the job {hung_bots(names)}" if names else reason
        decisions.append(Decision(check, action, full_reason, names))
    return decisions


def _hung(checks: Collection[LeaseCheck]) -> dict[int, tuple[str, ...]]:
    """Jobs that have, with this expiry, expired under `HUNG_BOTS` different bots; with the bots' names, in order."""
    most = settings.HUNG_BOTS
    # With fewer attempts it cannot have had that many bots, and its history need not be read.
    checks = [check for check in checks if attempts.number(check.attempt) >= most]
    if not checks or most < 1:
        return {}
    bots: dict[int, dict[int, str]] = {}
    if most > 1:
        for job, bot, name in expiries([check.lease.job_id for check in checks]):
            bots.setdefault(job, {})[bot] = name
    hung: dict[int, tuple[dict[int, str], int]] = {}
    for check in checks:
        before = {bot: name for bot, name in bots.get(check.lease.job_id, {}).items() if bot != check.bot_id}
        if len(before) + 1 >= most:
            hung[check.lease.job_id] = before, check.bot_id
    if not hung:
        return {}
    holders = dict(Bot.objects.filter(any_of("pk", {bot for _, bot in hung.values()})).values_list("pk", "name"))
    return {job: (*before.values(), holders[bot]) for job, (before, bot) in hung.items()}


def expiries(jobs: Collection[int]) -> list[tuple[int, int, str]]:
    """`(job, bot, its name)` for each expiry of these jobs, oldest first; since the last retry, if any."""
    retried = JobEvent.objects.filter(job=OuterRef("job"), verb=Verb.RETRY, pk__gt=OuterRef("pk"))
    expired = fenced(Q(verb=Verb.EXPIRE))
    events = JobEvent.objects.filter(any_of("job_id", jobs), expired, ~Exists(retried), bot__isnull=False)
    return list(events.order_by("pk").values_list("job_id", "bot_id", "bot__name"))


def flapping(bots: Collection[int], would_expire: Mapping[int, Sequence[int]] | None = None) -> dict[int, str]:
    """Those of these bots whose jobs expired too often within the window: `{bot: reason}`.

    Without those in quarantine. Expiries before an operator cleared a bot do not count. `would_expire`: further jobs
    that would expire under each bot now.
    """
    if not bots:
        return {}
    most = max(MAX_JOBS_NAMED, settings.QUARANTINE_EXPIRIES)
    expired = JobEvent.objects.filter(
        Q(bot__cleared_at=None) | Q(at__gt=F("bot__cleared_at")),
        # `fenced`, so that the index by bot is used and not the one by time.
        fenced(Q(verb=Verb.EXPIRE)),
        bot=OuterRef("pk"),
        at__gte=Now() - settings.QUARANTINE_WINDOW,
    ).order_by("-at", "-job_id")
    rows = Bot.objects.filter(any_of("pk", bots), quarantined_at=None)
    rows = rows.annotate(expired=ArraySubquery(expired.values("job_id")[: most + 1])).order_by("pk")
    reasons = {}
    for bot, before in rows.values_list("pk", "expired"):
        jobs = [*reversed(before), *(would_expire or {}).get(bot, ())]
        if len(jobs) >= settings.QUARANTINE_EXPIRIES:
            reasons[bot] = health.flapping(jobs[-most:], settings.QUARANTINE_WINDOW, others=len(jobs) > most)
    return reasons
