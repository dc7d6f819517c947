"""What the sweep will see of a lease, and do with its job, if its bot says nothing more.

The lease is taken forward to each of its thresholds, one signal at a time, and `jobs.sweep.verdicts`, which the sweep
itself asks, says what happens there.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bots import health
from jobs.lifecycle import Watched
from jobs.models import Job
from jobs.sweep import verdicts

#: What the sweep does, in words.
DOES = {"expire": "expires the lease", "fail": "fails the job", "flag": "records it in the history only"}


@dataclass(frozen=True)
class Foreseen:
    """One threshold: when it is reached, by which signal, and what comes of it."""

    at: datetime
    signal: str
    #: Who (`its bot`, `the sweep`), and what becomes of it or what it does, in words.
    who: str
    what: str
    #: The sweep's action (`verdicts.Action`; `wait`: it only grades the bot), and the job's status after it, if new.
    does: str
    becomes: str | None

    def __str__(self) -> str:
        return f"{self.signal}: {self.who} {self.what}"


def ahead(job: Job, watch: Watched) -> list[Foreseen]:
    """Every threshold of a held job's lease in order of time, also those that are past."""
    starts = {"unstarted": job.claimed_at, "silent": job.heartbeat_at, "overdue": job.started_at}
    limit = {
        "unstarted": watch.limits.start_within,
        "silent": watch.limits.heartbeat_within,
        "overdue": watch.limits.run_within,
    }
    signals = ("unstarted",) if watch.lease.running_for is None else ("silent", "overdue")
    moments = sorted(
        (start + limit[signal] * times, signal, times)
        for signal in signals
        for times in ((1,) if signal == "unstarted" else (1, health.UNHEALTHY_AT))
        if (start := starts[signal]) is not None
    )
    return [_at(watch, *moment) for moment in moments]


def _at(watch: Watched, at: datetime, signal: str, times: int) -> Foreseen:
    """What this signal alone comes to at that moment: as if the bot had kept within its other limits."""
    lease, limits = watch.lease, watch.limits
    nothing = timedelta(0)
    then = replace(
        lease,
        claimed_for=limits.start_within if signal == "unstarted" else lease.claimed_for,
        silent_for=limits.heartbeat_within * times if signal == "silent" else nothing,
        running_for=None if signal == "unstarted" else limits.run_within * times if signal == "overdue" else nothing,
    )
    (verdict,) = verdicts.verdicts([replace(watch, lease=then)])
    becomes = None if verdict.becomes is None else str(verdict.becomes)
    if verdict.action == "wait":
        grade = str(verdict.watch.grade.status).replace("_", " ")
        return Foreseen(at, signal, "its bot", f"is {grade}", verdict.action, becomes)
    return Foreseen(at, signal, "the sweep", _does(verdict), verdict.action, becomes)


def _does(verdict: verdicts.Verdict) -> str:
    said = DOES[verdict.action]
    if verdict.action != "expire":
        return said
    if verdict.hung:
        return f"fails the job: it has {verdicts.hung_bots(verdict.hung)}"
    if verdict.watch.last:
        return "fails the job: it is its last attempt"
    return f"{said}, and the attempt counts"
