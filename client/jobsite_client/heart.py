"""The heartbeats: one thread that renews every lease and the bot itself, whatever the handlers are doing."""

import logging
import threading
import time
from collections.abc import Callable

from .api import Client
from .backoff import jittered
from .endings import EXIT_RESTART, Ending, ending_for
from .errors import JobsiteError, LeaseLost, Unavailable
from .job import Job
from .leases import Leases

log = logging.getLogger("jobsite_client")

# Seconds. How often the thread looks, and so the finest a heartbeat is timed.
TICK = 0.5
# A heartbeat is due after a third of the time to the deadline, so two in a row may be lost; within these bounds.
SOONEST, LATEST = 1.0, 30.0
# The bot itself, and a lease whose deadline says nothing (there is none, or it has passed for another reason).
ORDINARY = 10.0
BOT_EVERY = 30.0
# New progress goes out this soon, ahead of the next heartbeat.
PROGRESS_AFTER = 1.0
# After an outage the leases are the first thing to save, so the next try does not wait for a whole interval.
AGAIN_AFTER = 3.0


class Heart(threading.Thread):
    """Sends heartbeats until `end()`. `every` (seconds) replaces the interval that each deadline suggests.

    `tell` hears of what ends the whole bot: a restart, a revoked token, a process that took over.
    """

    def __init__(
        self, client: Client, leases: Leases, *, every: float | None, version: str, tell: Callable[[Ending], None]
    ) -> None:
        super().__init__(name="jobsite-heart", daemon=True)
        self._client = client
        self._leases = leases
        self._every = every
        self._version = version
        self._tell = tell
        self._ended = threading.Event()
        self._due: dict[Job, float] = {}
        self._sent: dict[Job, float] = {}
        self._bot_due = time.monotonic() + (every or BOT_EVERY)

    def end(self) -> None:
        """Send no more heartbeats."""
        self._ended.set()

    def run(self) -> None:
        while not self._ended.wait(min(TICK, self._every or TICK)):
            try:
                self._round()
            except Exception:
                # Without its heart the bot would lose every lease it ever takes; one bad round is the lesser evil.
                log.exception("A round of heartbeats failed; the next one follows.")

    def _round(self) -> None:
        held = [job for job in self._leases.all() if not job.lost]
        self._due = {job: self._due.get(job) or job.held_since + self._interval(job) for job in held}
        self._sent = {job: self._sent.get(job, job.held_since) for job in held}
        for job in sorted(held, key=self._due.__getitem__):
            if self._ended.is_set() or not self._beat_if_due(job):
                return
        if time.monotonic() >= self._bot_due:
            self._beat_for_bot()

    def _beat_if_due(self, job: Job) -> bool:
        """Renew one lease if it is time. False: the server is away, so leave the others for the next round."""
        now = time.monotonic()
        news_due = job.has_news and now >= self._sent[job] + min(PROGRESS_AFTER, self._every or PROGRESS_AFTER)
        if now < self._due[job] and not news_due:
            return True
        news = job.take_news()
        progress, note = news or (None, None)
        self._sent[job] = now
        self._due[job] = now + self._interval(job)
        try:
            reply = self._client.heartbeat(job.id, job.attempt, progress=progress, note=note)
        except LeaseLost as error:
            self._lost(job, error)
        except Unavailable as error:
            job.put_back_news(news)
            self._due[job] = now + min(self._interval(job), jittered(AGAIN_AFTER))
            log.warning("%s: no heartbeat, will try again. %s", job, error.detail)
            return False
        except JobsiteError as error:
            self._refused(str(job), error)
        else:
            job.deadline_at = reply.deadline_at or job.deadline_at
            self._due[job] = time.monotonic() + self._interval(job)
            if reply.cancel:
                job.stop("An operator cancelled the job.", lost=True)
                log.warning("%s: cancelled by an operator; the handler was told to stop.", job)
            if reply.restart:
                self._tell(RESTART)
        return True

    def _lost(self, job: Job, error: LeaseLost) -> None:
        job.stop(f"The lease was lost, {error.explain()}", lost=True)
        # Its own report ends a lease too, which is no loss; and if it was lost, the report will be told the same.
        if not job.reporting:
            log.warning("%s: the lease was lost, %s. The handler was told to stop.", job, error.explain())

    def _beat_for_bot(self) -> None:
        self._bot_due = time.monotonic() + jittered(self._every or BOT_EVERY)
        try:
            orders = self._client.bot_heartbeat(self._version)
        except Unavailable as error:
            log.warning("The bot's own heartbeat did not arrive, will try again. %s", error.detail)
        except JobsiteError as error:
            self._refused("The bot", error)
        else:
            if orders.restart:
                self._tell(RESTART)

    def _refused(self, who: str, error: JobsiteError) -> None:
        ending = ending_for(error, self._client.instance)
        if ending:
            self._tell(ending)
        else:
            log.error("%s: the server refused a heartbeat: %s", who, error.detail)

    def _interval(self, job: Job) -> float:
        if self._every:
            return self._every
        if job.deadline_at is None:
            return ORDINARY
        left = (job.deadline_at - self._client.server_now()).total_seconds()
        return min(max(left / 3, SOONEST), LATEST) if left > 0 else ORDINARY


RESTART = Ending(EXIT_RESTART, "An operator asked this bot to start afresh.")
