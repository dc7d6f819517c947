"""Plan what is to become of a schedule's occurrences that are due: which get a job, which do not, and why. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.schedules.timing import TICK, Stretch, Timing
from jobs.states import CatchUp, Fate
from jobsite.lib.durations import words

#: An occurrence that is fired later than this was not on time.
ON_TIME = timedelta(seconds=60)
#: Jobs of one schedule in one transaction.
MAX_JOBS = 100
#: Occurrences of a cron line that are counted in one transaction.
MAX_COUNTED = 10_000


@dataclass(frozen=True)
class Step:
    """Some occurrences and their fate, if all goes well. Of one with a job there is only one."""

    fate: Fate
    due: Stretch
    reason: str = ""

    @property
    def wants_job(self) -> bool:
        return self.fate in (Fate.ENQUEUED, Fate.CAUGHT_UP)


@dataclass(frozen=True)
class Plan:
    """The steps in the order of time, and the first moment that is left without a fate."""

    steps: list[Step]
    next_at: datetime | None
    pause_is_over: bool = False

    def is_complete(self, now: datetime) -> bool:
        """Whether nothing more is due."""
        return self.next_at is None or self.next_at > now


@dataclass(frozen=True)
class Policy:
    """What a schedule says of occurrences that are late, and of its pause."""

    catch_up: CatchUp
    within: timedelta
    paused: bool = False
    paused_until: datetime | None = None
    pause_reason: str = ""


def plan(timing: Timing, policy: Policy, next_at: datetime | None, now: datetime) -> Plan:
    """Plan the occurrences from `next_at` to `now`, as far as one transaction may take them."""
    steps: list[Step] = []
    over = policy.paused_until is not None and policy.paused_until <= now
    if policy.paused and next_at is not None:
        end = policy.paused_until - TICK if policy.paused_until is not None and over else now
        if skipped := timing.stretch(next_at, end, MAX_COUNTED):
            steps.append(Step(Fate.SKIPPED, skipped, paused_reason(policy.pause_reason)))
            next_at = skipped.next
        if not over or (next_at is not None and next_at <= end):
            return Plan(steps, next_at)
    for step in _steps(timing, policy, next_at, now):
        steps.append(step)
        next_at = step.due.next
    return Plan(steps, next_at, pause_is_over=over)


def paused_reason(reason: str) -> str:
    """Why an occurrence was skipped in a pause."""
    return f"Paused: {reason}" if reason else "Paused."


def late_reason(policy: Policy) -> str:
    """Why an occurrence was missed: the same for all of a gap, so that they are one row."""
    late = f"Nothing fired it within {words(ON_TIME)}"
    if policy.catch_up == CatchUp.NONE:
        return f"{late}, and none is caught up."
    which = "only the last one is" if policy.catch_up == CatchUp.LAST else "each is"
    return f"{late}; {which} caught up, within {words(policy.within)}."


def _steps(timing: Timing, policy: Policy, next_at: datetime | None, now: datetime) -> Iterator[Step]:
    """First those that are late, then those that are on time."""
    late_until, caught_up_from = now - ON_TIME - TICK, now - policy.within
    last_missed = late_until
    if policy.catch_up == CatchUp.ALL:
        last_missed = min(late_until, caught_up_from - TICK)
    missed = timing.stretch(next_at, last_missed, MAX_COUNTED) if next_at else None
    if missed:
        next_at = missed.next
        rest: Stretch | None = missed
        caught_up = None
        if policy.catch_up == CatchUp.LAST and missed.last >= caught_up_from and (next_at is None or next_at > now):
            rest, caught_up = missed.without_last(), Stretch(missed.last, missed.last, 1, next_at)
        if rest:
            yield Step(Fate.MISSED, rest, late_reason(policy))
        if caught_up:
            yield Step(Fate.CAUGHT_UP, caught_up)
        if next_at is None or next_at <= last_missed:
            return
    for _ in range(MAX_JOBS):
        if next_at is None or next_at > now:
            return
        due = Stretch(next_at, next_at, 1, timing.next_after(next_at))
        yield Step(Fate.ENQUEUED if next_at > late_until else Fate.CAUGHT_UP, due)
        next_at = due.next
