"""The thread of each web process that fires schedules, and drops jobs that were not begun in time.

The sweep calls the same functions.
"""

import threading

import structlog

from jobs import lifecycle
from jobs.schedules.firing import Firing
from jobs.schedules.statements import run
from jobs.turns import waiting
from jobsite.lib import outcomes

log = structlog.stdlib.get_logger("jobsite.jobs")

#: Seconds until the schedules are read again, at most: a new one may be the first.
CHECK_EVERY = 1.0
#: The same while one is due that another process has locked, or jobs were dropped.
CHECK_AGAIN = 0.25
#: For how many seconds jobs are dropped before the schedules are read again.
DROPS_FOR = 0.25


def fire_for_ever() -> None:
    """Fire schedules in a thread until the server shuts down. For the server."""
    threading.Thread(target=fire_until_closed, name="jobsite-schedules", daemon=True).start()


def fire_until_closed() -> None:
    """Fire schedules when they are due, until no more calls are admitted."""
    firing, pause, away = Firing(), threading.Event(), False
    while not waiting.waiters.closed:
        seconds = CHECK_EVERY
        try:
            seconds = _fire_if_due(firing)
            if lifecycle.drop(by=lifecycle.SWEEP, seconds=DROPS_FOR):
                # There may be more.
                seconds = min(seconds, CHECK_AGAIN)
            away = False
        except outcomes.ERRORS as error:
            if not away:
                log.warning(f"cannot fire schedules or drop late jobs, trying once a second: {error}")
            away = True
        except Exception:
            log.exception("cannot fire schedules or drop late jobs")
        finally:
            waiting.release_connection()
        pause.wait(seconds)


def _fire_if_due(firing: Firing) -> float:
    """Fire what is due. Returns for how many seconds nothing will be."""
    (row,) = run("ahead")
    if row["waits"] or (row["ahead"] is not None and row["ahead"] <= 0):
        firing.fire_due()
        (row,) = run("ahead")
    ahead = CHECK_EVERY if row["ahead"] is None else float(row["ahead"])
    return min(CHECK_EVERY, ahead if ahead > 0 else CHECK_AGAIN)
