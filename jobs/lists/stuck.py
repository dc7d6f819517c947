"""Stuck leases in groups: those of one kind that are past the same limit, the worst group first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bots import health
from bots.states import HealthStatus
from jobs import lifecycle
from jobs.lifecycle import LeaseCheck
from jobs.models import Job

#: The most stuck leases that are read, those with the oldest heartbeats.
READ = 2000
#: The most groups on a page, and jobs in one of them. The list has them all.
SHOWN, JOBS_SHOWN = 12, 5
#: The most jobs that one page releases, and so the most that a group offers.
RELEASED = 500


@dataclass(frozen=True)
class Group:
    """Stuck leases of one kind, past the same limit, the worst first."""

    kind: str
    signal: health.Signal
    jobs: Sequence[LeaseCheck]

    @property
    def name(self) -> str:
        """What a page calls it in its ids and addresses."""
        return f"{self.signal}-{self.kind}"

    @property
    def bots(self) -> int:
        """How many bots hold them."""
        return len({check.bot_id for check in self.jobs})

    @property
    def status(self) -> str:
        """The health of the bot that is worst off."""
        return self.jobs[0].grade.status

    @property
    def evidence(self) -> str:
        """How far past their limit they are."""
        return health.range_of(self.signal, [health.age_of(check.lease, self.signal) for check in self.jobs])

    @property
    def shown(self) -> Sequence[LeaseCheck]:
        """The worst, as many as a page shows."""
        return self.jobs[:JOBS_SHOWN]

    @property
    def offered(self) -> Sequence[LeaseCheck]:
        """Those that are released together."""
        return self.jobs[:RELEASED]


@dataclass(frozen=True)
class Stuck:
    """All that is stuck, in groups. `more`: there is more than was read."""

    groups: Sequence[Group] = ()
    more: bool = False

    @property
    def shown(self) -> Sequence[Group]:
        """The worst groups, as many as a page shows."""
        return self.groups[:SHOWN]

    @property
    def not_shown(self) -> int:
        """How many jobs are in the others."""
        return sum(len(group.jobs) for group in self.groups[SHOWN:])

    @property
    def jobs(self) -> int:
        return sum(len(group.jobs) for group in self.groups)

    @property
    def kinds(self) -> int:
        return len({group.kind for group in self.groups})

    @property
    def bot_ids(self) -> set[int]:
        return {check.bot_id for group in self.groups for check in group.jobs}


def holders_shown(groups: Iterable[Group]) -> set[int]:
    """The bots that hold the jobs which a page shows of these groups."""
    return {check.bot_id for group in groups for check in group.shown}


def stuck(kind: str = "", signal: str = "") -> Stuck:
    """Return what is stuck now: all of it, or that of one kind, or past one limit. Two queries."""
    oldest = Job.objects.stuck().filter(**{"kind": kind} if kind else {}).order_by("heartbeat_at").values("pk")
    checks = lifecycle.check_leases(Job.objects.filter(pk__in=oldest[: READ + 1]), instances=False)
    found: dict[tuple[str, health.Signal], list[LeaseCheck]] = {}
    for check in checks[:READ]:
        if check.grade.signal and signal in ("", check.grade.signal):
            found.setdefault((check.lease.kind, check.grade.signal), []).append(check)
    groups = [
        Group(name, past, sorted(jobs, key=lambda check: (check.grade.ratio, -check.lease.job_id), reverse=True))
        for (name, past), jobs in found.items()
    ]
    return Stuck(sorted(groups, key=_urgency), more=len(checks) > READ)


def _urgency(group: Group) -> tuple[bool, int, float]:
    return group.status != HealthStatus.UNHEALTHY, -len(group.jobs), -group.jobs[0].grade.ratio
