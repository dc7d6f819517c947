"""Grade a bot's health by the ages and limits of its leases. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from operator import itemgetter
from typing import Literal

from bots.states import HealthStatus
from jobsite.lib.durations import between, words

#: How many times its limit a signal must reach before the bot is unhealthy and the kind's policy acts.
UNHEALTHY_AT = 3
Signal = Literal["unstarted", "silent", "overdue"]
_RANK = {HealthStatus.NORMAL: 0, HealthStatus.POTENTIALLY_STUCK: 1, HealthStatus.UNHEALTHY: 2}
#: How a reason begins, before the age.
_REASONS: dict[Signal, str] = {
    "unstarted": "claimed but not started for", "silent": "silent for", "overdue": "running for",
}  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """The time limits of a kind."""

    start_within: timedelta
    heartbeat_within: timedelta
    run_within: timedelta


@dataclass(frozen=True)
class Lease:
    """One held job, as ages: how long ago it was claimed, started (None: not yet) and last reported on."""

    job_id: int
    kind: str
    claimed_for: timedelta
    running_for: timedelta | None
    silent_for: timedelta


@dataclass(frozen=True)
class Usual:
    """How long a kind's jobs usually run: `quick` of its last `jobs` successes took less than `under`."""

    quick: int
    jobs: int
    under: timedelta


@dataclass(frozen=True)
class Grade:
    """The grade of one lease. `ratio` is age over limit of the worst signal; `signal` is None when it is normal."""

    status: HealthStatus
    signal: Signal | None
    ratio: float
    reason: str
    job_id: int
    #: The signals that have reached `UNHEALTHY_AT` times their limit, silent before overdue.
    far: tuple[Signal, ...] = ()


def _signals(lease: Lease, limits: Limits) -> list[tuple[Signal, timedelta, timedelta]]:
    if lease.running_for is None:
        return [("unstarted", lease.claimed_for, limits.start_within)]
    return [
        ("silent", lease.silent_for, limits.heartbeat_within),
        ("overdue", lease.running_for, limits.run_within),
    ]


def grade(lease: Lease, limits: Limits, usual: Usual | None = None) -> Grade:
    """Grade one lease, with a reason that gives its age, the limit, and what is usual."""
    ratios = [(age / limit, signal, age, limit) for signal, age, limit in _signals(lease, limits)]
    ratio, signal, age, limit = max(ratios, key=itemgetter(0))
    if ratio < 1:
        return Grade(HealthStatus.NORMAL, None, ratio, "", lease.job_id)
    far = tuple([signal for ratio, signal, _, _ in ratios if ratio >= UNHEALTHY_AT])
    status = HealthStatus.UNHEALTHY if far else HealthStatus.POTENTIALLY_STUCK
    reason = f"{_REASONS[signal]} {words(age)} on {lease.kind} job {lease.job_id}, limit {words(limit)}"
    if usual is not None and signal != "unstarted":
        # Usual run times say nothing about the time before the start.
        reason = f"{reason}; {compared(usual, lease.kind)}"
    return Grade(status, signal, ratio, reason, lease.job_id, far)


def compared(usual: Usual, kind: str) -> str:
    """Say what is usual: `41 of the last 50 sum jobs took under 3 s`."""
    return f"{usual.quick} of the last {usual.jobs} {kind} jobs took under {words(usual.under)}"


def range_of(signal: Signal, ages: Sequence[timedelta]) -> str:
    """Say how far several leases are past one limit: `silent for 6 to 9 m`."""
    return f"{_REASONS[signal]} {between(min(ages), max(ages))}"


def age_of(lease: Lease, signal: Signal) -> timedelta:
    """The age that this signal goes by."""
    ages = {"unstarted": lease.claimed_for, "silent": lease.silent_for, "overdue": lease.running_for}
    return ages[signal] or timedelta(0)


def flapping(jobs: Sequence[int], within: timedelta, *, others: bool = False) -> str:
    """Say why an instance is in quarantine: `3 jobs that others then did expired under it within 1 h: 12, 15, 19`.

    `jobs` has a job once for each time it expired; with `others` there were more.
    """
    count = f"{'at least ' if others else ''}{len(jobs)}"
    times = Counter(jobs)
    if len(times) == len(jobs):
        return f"{count} jobs that others then did expired under it within {words(within)}: {', '.join(map(str, jobs))}"
    named = ", ".join(f"{job} ({n} times)" if n > 1 else f"{job}" for job, n in times.items())
    return f"jobs that others then did expired under it {count} times within {words(within)}: {named}"


def worst(grades: Iterable[Grade]) -> Grade | None:
    """Return the worst of a bot's grades: by status, then by how far past its limit. None when there are none."""
    return max(grades, key=lambda g: (_RANK[g.status], g.ratio), default=None)


def next_look(lease: Lease, limits: Limits) -> timedelta:
    """Return how long until this lease can reach another grade. Past the last threshold: its heartbeat limit."""
    ahead = [
        limit * times - age
        for _, age, limit in _signals(lease, limits)
        for times in (1, UNHEALTHY_AT)
        if limit * times > age
    ]
    return min(ahead, default=limits.heartbeat_within)
