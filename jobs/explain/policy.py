"""A kind's policy in words."""

from django.conf import settings

from bots import health
from jobs.models import JobKind
from jobs.states import Policy
from jobs.time_limits import limit_of
from jobsite.lib.durations import words


def run_limit_shortly(kind: JobKind) -> str:
    """`10 m, learned`: `run_limit` for a table."""
    whose = "" if kind.run_within else ", learned" if kind.learned_run_within else ", default"
    return f"{words(limit_of(kind))}{whose}"


def run_limit(kind: JobKind) -> str:
    """`10 m, the site's default`: how long jobs of this kind may run, and where that comes from."""
    if kind.run_within is not None:
        whose = "the kind's own"
    elif kind.learned_run_within is not None:
        whose = "learned from its own successes"
    else:
        whose = "the site's default"
    return f"{words(limit_of(kind))}, {whose}"


def policy(kind: JobKind) -> dict[str, str]:
    """What each field of a kind's policy comes to, in words: `{field: sentence}`."""
    times = health.UNHEALTHY_AT
    then = {
        Policy.RELEASE: "gives the job back, and the attempt counts",
        Policy.FLAG: "says so in the history and leaves the job where it is",
        Policy.FAIL: "ends the job as failed",
    }
    run = limit_of(kind)
    wait = settings.DEFAULT_WAIT_WITHIN if kind.wait_within is None else kind.wait_within
    return {
        "max_attempts": f"Attempts before a job has failed: {kind.max_attempts}. Releases are not counted.",
        "backoff": f"After the first failure it waits {words(kind.backoff)}, and twice as long after each one more.",
        "start_within": f"Claimed and not started within {words(kind.start_within)}: the sweep gives it back.",
        "heartbeat_within": f"No heartbeat for {words(kind.heartbeat_within)}: its bot is potentially stuck; for "
        f"{words(kind.heartbeat_within * times)}: unhealthy.",
        "when_silent": f"After {words(kind.heartbeat_within * times)} of silence the sweep "
        f"{then[Policy(kind.when_silent)]}.",
        "run_within": f"Running for longer than {words(run)}: potentially stuck; {words(run * times)}: unhealthy. "
        f"({run_limit(kind).partition(', ')[2].capitalize()}; empty means learned.)",
        "when_overdue": f"After {words(run * times)} of running the sweep {then[Policy(kind.when_overdue)]}.",
        "wait_within": f"A due job that waits longer than {words(wait)} opens an incident."
        if wait
        else "No incident opens, however long a due job waits.",
        "keep_for": f"Finished jobs are kept for {words(kind.keep_for)}; then they are deleted with their history.",
    }
