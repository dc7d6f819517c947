"""Forecast what the sweep does with a lease if its bot does not report again.

The ages of the lease are set to each of its thresholds, one signal at a time, and `jobs.sweep.verdicts`, which the
sweep uses, decides what happens there.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bots import health
from jobs.lifecycle import LeaseCheck
from jobs.models import Job
from jobs.sweep import verdicts

#: What the sweep does, by its action.
ACTION_TEXTS = {"expire": "expires the lease", "fail": "fails the job", "flag": "records it in the history only"}


@dataclass(frozen=True)
class ForecastStep:
    """One threshold: when it is reached, by which signal, and the consequence."""

    at: datetime
    signal: str
    #: The subject (`its bot`, `the sweep`) and the rest of a sentence about the consequence.
    who: str
    what: str
    #: The sweep's action (`verdicts.Action`; `wait`: it only grades the bot), and the job's status after it, if new.
    does: str
    becomes: str | None

    def __str__(self) -> str:
        return f"{self.signal}: {self.who} {self.what}"


def thresholds(job: Job, check: LeaseCheck) -> list[ForecastStep]:
    """All thresholds of a held job's lease in order of time, those in the past included."""
    starts = {"unstarted": job.claimed_at, "silent": job.heartbeat_at, "overdue": job.started_at}
    limit = {
        "unstarted": check.limits.start_within,
        "silent": check.limits.heartbeat_within,
        "overdue": check.limits.run_within,
    }
    signals = ("unstarted",) if check.lease.running_for is None else ("silent", "overdue")
    moments = sorted(
        (start + limit[signal] * times, signal, times)
        for signal in signals
        for times in ((1,) if signal == "unstarted" else (1, health.UNHEALTHY_AT))
        if (start := starts[signal]) is not None
    )
    return [_step_at(check, *moment) for moment in moments]


def _step_at(check: LeaseCheck, at: datetime, signal: str, times: int) -> ForecastStep:
    """The consequence of this signal alone at that time: within all other limits."""
    lease, limits = check.lease, check.limits
    zero = timedelta(0)
    then = replace(
        lease,
        claimed_for=limits.start_within if signal == "unstarted" else lease.claimed_for,
        silent_for=limits.heartbeat_within * times if signal == "silent" else zero,
        running_for=None if signal == "unstarted" else limits.run_within * times if signal == "overdue" else zero,
    )
    (decision,) = verdicts.decide_all([replace(check, lease=then)])
    becomes = None if decision.becomes is None else str(decision.becomes)
    if decision.action == "wait":
        grade = str(decision.check.grade.status).replace("_", " ")
        return ForecastStep(at, signal, "its bot", f"is {grade}", decision.action, becomes)
    return ForecastStep(at, signal, "the sweep", _action_text(decision), decision.action, becomes)


def _action_text(decision: verdicts.Decision) -> str:
    text = ACTION_TEXTS[decision.action]
    if decision.action != "expire":
        return text
    if decision.hung:
        return f"fails the job: it has {verdicts.hung_bots(decision.hung)}"
    if decision.check.last:
        return "fails the job: it is its last attempt"
    return f"{text}, and the attempt counts"
