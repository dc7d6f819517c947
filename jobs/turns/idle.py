"""Wait until a bot holds no job: for operators who drain one. Such a call holds a thread and no database connection."""

import threading
import time

from django.db import connection

from jobs.models import Job
from jobs.turns.waiting import release_connection, waiters

#: The longest that a call waits, in seconds, and the pause between two looks.
LONGEST, EVERY = 30.0, 0.25
#: How many calls wait at once in a process. One more is answered as it is.
MAX_AT_ONCE = 16

_places = threading.BoundedSemaphore(MAX_AT_ONCE)


def wait(bot: int) -> None:
    """Wait until this bot holds no job, for `LONGEST` seconds at most."""
    if connection.in_atomic_block or not _places.acquire(blocking=False):
        return
    try:
        until = time.monotonic() + LONGEST
        while not waiters.closed and time.monotonic() < until:
            # Not its status: one that is down may hold jobs.
            if not Job.objects.filter(claimed_by=bot).exists():
                return
            release_connection()
            time.sleep(EVERY)
    finally:
        _places.release()
