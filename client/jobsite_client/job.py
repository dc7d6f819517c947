"""The job that a handler is given."""

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn

from .errors import Cancelled, Deferred
from .messages import ClaimedJob, JobId

NOTE_LIMIT = 500


class Job:
    """The argument of a handler: the job's fields, progress reports, and notice that it should stop.

    `id` and `attempt` name the lease; `payload` is the producer's JSON value; `priority`, `key`, `run_at` and
    `max_attempts` are as they were enqueued. `deadline_at` (UTC, by the server's clock) moves on with each heartbeat.
    `cancelled` is a `threading.Event`, set once the job is no longer this bot's, or the process is about to stop;
    `cancelled_because` then says why.
    """

    def __init__(self, claimed: ClaimedJob) -> None:
        self.claimed = claimed
        self.id: JobId = claimed.id
        self.kind: str = claimed.kind
        self.attempt: int = claimed.attempt
        self.payload: Any = claimed.payload
        self.priority: int = claimed.priority
        self.key: str | None = claimed.key
        self.run_at: datetime | None = claimed.run_at
        self.deadline_at: datetime | None = claimed.deadline_at
        self.max_attempts: int | None = claimed.max_attempts
        self.cancelled = threading.Event()
        self.cancelled_because = ""
        # True once the server has reported the end of the lease; False while the bot is only stopping.
        self.lost = False
        # True once its outcome is being reported, which ends the lease as well.
        self.reporting = False
        # Its heartbeats (by the monotonic clock): when the last went out, when the next is due; and how many
        # seconds the claim gave it to its deadline.
        self.beat_at = time.monotonic()
        self.beat_due: float | None = None
        self.lease_for = claimed.lease_for or 0.0
        # When the lease ends, where the server says so in seconds.
        self.lease_until = self.beat_at + claimed.lease_for if claimed.lease_for else None
        # By the monotonic clock: when a worker began it, and when its handler was asked to stop.
        self.begun_at: float | None = None
        self.stopped_at: float | None = None
        # What to report if it was stopped because it took too long.
        self.timed_out = ""
        self._on_stop: Callable[[], None] | None = None
        self._lock = threading.Lock()
        self._news: tuple[int, str | None] | None = None

    def __repr__(self) -> str:
        return f"<Job {self.id} ({self.kind}), attempt {self.attempt}>"

    def __str__(self) -> str:
        return f"Job {self.id} ({self.kind}), attempt {self.attempt}"

    def progress(self, percent: float, note: str | None = None) -> None:
        """Report progress: 0 to 100 per cent, and a note of at most 500 characters (longer ones are cut).

        Returns at once: it goes out with a heartbeat about a second later at most, so call it as often as you like.
        """
        rounded = int(min(max(percent, 0), 100))
        with self._lock:
            self._news = (rounded, note if note is None else note.replace("\0", "")[:NOTE_LIMIT])

    def check(self) -> None:
        """Raise `Cancelled` if the work is no longer wanted. Call it now and then in a long handler."""
        if self.cancelled.is_set():
            raise Cancelled(self.cancelled_because)

    def defer(self, seconds: float, reason: str = "") -> NoReturn:
        """End the handler, and give the job back for `seconds`: a service is away, or a file is not there yet.

        The attempt does not count. The server takes this a limited number of times for each job (`MAX_DEFERRALS`, 100);
        then the attempt fails. To count it at once, raise `RetryLater`.
        """
        raise Deferred(max(seconds, 0.0), reason)

    # --- For the runner -------------------------------------------------------------------------------------------

    def stop(self, because: str, *, lost: bool = False) -> None:
        """Tell the handler to stop, and why. The first reason stands."""
        with self._lock:
            self.lost = self.lost or lost
            if self.cancelled.is_set():
                return
            self.cancelled_because = because
            self.stopped_at = time.monotonic()
            self.cancelled.set()
        if self._on_stop:
            self._on_stop()

    def when_stopped(self, call: Callable[[], None]) -> None:
        """Have `call` called once the handler is asked to stop, in whichever thread; at once if it was before."""
        with self._lock:
            self._on_stop = call
            stopped = self.cancelled.is_set()
        if stopped:
            call()

    def stopped_for(self) -> float:
        """Seconds since its handler was asked to stop; 0 if it was not."""
        return 0.0 if self.stopped_at is None else time.monotonic() - self.stopped_at

    def take_news(self) -> tuple[int, str | None] | None:
        """The progress not sent yet, which counts as sent from now on."""
        with self._lock:
            news, self._news = self._news, None
            return news

    def put_back_news(self, news: tuple[int, str | None] | None) -> None:
        """The heartbeat that carried it failed: send it with the next one, unless there is newer progress."""
        with self._lock:
            self._news = self._news or news

    @property
    def has_news(self) -> bool:
        return self._news is not None
