"""Describe a kind's policy in words."""

from django.conf import settings

from bots import health
from jobs.models import JobKind
from jobs.states import Policy
from jobs.time_limits import limit_of
from jobsite.lib.durations import words


def run_limit_short(kind: JobKind) -> str:
    """Describe the run limit for a table: `10 m, learned`."""
    origin = "" if kind.run_within else ", learned" if kind.learned_run_within else ", default"
    return f"{words(limit_of(kind))}{origin}"


def run_limit(kind: JobKind) -> str:
    """Describe the run limit and its origin: `10 m, the installation's default`."""
    if kind.run_within is not None:
        origin = "set for this kind"
    elif kind.learned_run_within is not None:
        origin = "learned from its successes"
    else:
        origin = "the installation's default"
    return f"{words(limit_of(kind))}, {origin}"


def policy(kind: JobKind) -> dict[str, str]:
    """Describe each field of a kind's policy: `{field: sentence}`."""
    times = health.UNHEALTHY_AT
    then = {
        Policy.RELEASE: "releases the job; the attempt is counted",
        Policy.FLAG: "only flags the job in its history",
        Policy.FAIL: "fails the job",
    }
    run = limit_of(kind)
    wait = settings.DEFAULT_WAIT_WITHIN if kind.wait_within is None else kind.wait_within
    return {
        "max_attempts": f"Attempts before a job has failed: {kind.max_attempts}. Releases are not counted.",
        "backoff": f"Retried {words(kind.backoff)} after the first failure; the delay doubles with each further one.",
        "start_within": f"Claimed and not started within {words(kind.start_within)}: the sweep expires the lease.",
        "heartbeat_within": f"No heartbeat for {words(kind.heartbeat_within)}: its bot is potentially stuck. For "
        f"{words(kind.heartbeat_within * times)}: unhealthy.",
        "when_silent": f"After {words(kind.heartbeat_within * times)} of silence the sweep "
        f"{then[Policy(kind.when_silent)]}.",
        "run_within": f"Running for longer than {words(run)}: potentially stuck; {words(run * times)}: unhealthy. "
        f"({run_limit(kind).partition(', ')[2].capitalize()}; empty means learned.)",
        "when_overdue": f"After {words(run * times)} of running the sweep {then[Policy(kind.when_overdue)]}.",
        "wait_within": f"A due job that waits longer than {words(wait)} opens an incident."
        if wait
        else "No incident opens for waiting jobs.",
        "max_pending": _max_pending(kind),
        **_limits(kind),
        "keep_for": f"Finished jobs are kept for {words(kind.keep_for)}; then deleted with their history.",
    }


def limits_short(kind: JobKind) -> str:
    """Describe the limits for a table: `3 held, 2 a group, 10 in 1 m`. Empty: none."""
    period = words(kind.rate_period)
    parts = {
        f"{kind.max_held} held": kind.max_held,
        f"{kind.max_held_per_group} held a group": kind.max_held_per_group,
        f"{kind.rate} in {period}": kind.rate,
        f"{kind.rate_per_group} a group in {period}": kind.rate_per_group,
    }
    return ", ".join(text for text, value in parts.items() if value is not None)


def _limits(kind: JobKind) -> dict[str, str]:
    period = words(kind.rate_period)
    limits = {
        "max_held": (kind.max_held, "jobs are held at once"),
        "max_held_per_group": (kind.max_held_per_group, "jobs of each group are held at once"),
        "rate": (kind.rate, f"jobs start within any {period}"),
        "rate_per_group": (kind.rate_per_group, f"jobs of each group start within any {period}"),
    }
    return {
        name: "Empty: no limit." if most is None else f"At most {most} {what}. Empty: no limit."
        for name, (most, what) in limits.items()
    }


def _max_pending(kind: JobKind) -> str:
    most = settings.MAX_PENDING
    every = f"The installation takes at most {most} pending jobs of all kinds." if most else ""
    if kind.max_pending is None:
        return f"No limit of its own. {every}".strip()
    return f"While {kind.max_pending} jobs are pending, new ones are refused (429). {every}".strip()
