"""Decide what the sweep does with leases and bots. The one definition for the sweep, its dry run and `explain`.

Nothing is changed here. `decide` considers one lease; `decide_all` also the history of its job, with one query for a
batch.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, Subquery, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce

from bots.instances import Instance
from bots.models import Bot
from jobs import attempts
from jobs.lifecycle import LeaseCheck
from jobs.models import JobEvent
from jobs.states import JobStatus, Policy, Verb
from jobsite.lib.planner import any_of, fenced

#: The beginning of the error of a job that hung its bots.
HUNG = "hung "

Action = Literal["expire", "fail", "flag", "wait"]
#: The action of each policy.
_ACTIONS: dict[str, Action] = {Policy.RELEASE: "expire", Policy.FAIL: "fail", Policy.FLAG: "flag"}


@dataclass(frozen=True)
class Holder:
    """Whom a lease is of, whichever process: a bot, and one identity of it."""

    bot: int
    identity: str
    name: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.name} ({self.identity})" if self.identity else self.name


@dataclass(frozen=True)
class Decision:
    """The action for one due lease, and the reason."""

    check: LeaseCheck
    action: Action
    reason: str
    #: The bots the job has hung, when they are too many for another attempt, or that was the last.
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
    """Jobs that have, with this expiry, expired under `HUNG_BOTS` different bots; with the bots' names, in order.

    With two, where it was the last attempt. What expires as a probe says nothing of the job.
    """
    most = settings.HUNG_BOTS
    needed = {check.lease.job_id: min(most, 2) if check.last else most for check in checks if not check.probe}
    # With fewer attempts it cannot have had that many bots, and its history need not be read.
    checks = [check for check in checks if attempts.number(check.attempt) >= needed.get(check.lease.job_id, math.inf)]
    if not checks or most < 1:
        return {}
    earlier: dict[int, dict[Holder, None]] = {}
    if most > 1:
        for job, holder in expiries([check.lease.job_id for check in checks]):
            earlier.setdefault(job, {})[holder] = None
    hung: dict[int, list[Holder]] = {}
    for check in checks:
        job, last = check.lease.job_id, Holder(check.bot_id, check.identity)
        before = [holder for holder in earlier.get(job, ()) if holder != last]
        if len(before) + 1 >= needed[job]:
            hung[job] = [*before, last]
    if not hung:
        return {}
    last_ones = {holders[-1].bot for holders in hung.values()}
    names = dict(Bot.objects.filter(any_of("pk", last_ones)).values_list("pk", "name"))
    named = {job: [replace(one, name=one.name or names[one.bot]) for one in holders] for job, holders in hung.items()}
    return {job: tuple(map(str, holders)) for job, holders in named.items()}


def expiries(jobs: Collection[int]) -> list[tuple[int, Holder]]:
    """Job and holder of each expiry of these jobs but for probes, oldest first; since the last retry, if any."""
    retried = JobEvent.objects.filter(job=OuterRef("job"), verb=Verb.RETRY, pk__gt=OuterRef("pk"))
    expired = fenced(Q(verb=Verb.EXPIRE))
    events = JobEvent.objects.filter(any_of("job_id", jobs), expired, ~Exists(retried), bot__isnull=False)
    own = Instance.objects.filter(bot=OuterRef("bot"), name=KeyTextTransform("instance", OuterRef("detail")))
    identity = Coalesce(Subquery(own.values("identity")), Value(""))
    rows = events.exclude(detail__has_key="probe").annotate(identity=identity)
    return [
        (job, Holder(bot, identity, name))
        for job, bot, identity, name in rows.order_by("pk").values_list("job_id", "bot_id", "identity", "bot__name")
    ]
