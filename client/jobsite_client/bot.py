"""`Bot`: give it handlers, run it. It claims, heartbeats, reports, and stops in good order."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from types import FrameType

from .api import Client
from .claimer import Claimer, hand_back
from .endings import EXIT_REFUSED, EXIT_REPLACED, EXIT_RESTART, EXIT_STOPPED, Ending
from .heart import Heart
from .job import Job
from .leases import Leases
from .worker import Handler, Worker

__all__ = ["EXIT_REFUSED", "EXIT_REPLACED", "EXIT_RESTART", "EXIT_STOPPED", "Bot"]

log = logging.getLogger("jobsite_client")

# Seconds for handing everything back at the end, however many jobs and however slow the server.
HAND_BACK_WITHIN = 5.0
# Seconds for handlers that watch `job.cancelled` to notice it before the process ends under them.
LAST_WORDS = 1.0

# What the supervising thread is told: an ending, or None when a job is done with.
Message = Ending | None


class Bot:
    """A bot for the Jobsite server at `url`, with the `token` it was given when it was registered.

    `handlers` maps each kind of job this bot takes to a function of one argument, a `Job`. What the function
    returns is the result (any JSON value). An exception fails the job, to be tried again later; `GiveUp` fails it
    for good; `Cancelled`, from `job.check()`, reports nothing. Handlers run in threads, `concurrency` at a time.

    `poll_every`       the longest pause between claims while there is nothing to do, seconds
    `heartbeat_every`  seconds between heartbeats; by default a third of the time to each job's deadline
    `alone`            False lets several processes share this one bot (and its token) at the same time
    `grace`            how long running jobs may go on after SIGTERM or SIGINT, seconds; then they are handed back
    `version`          the bot's version, shown to operators (≤ 100 characters)
    `on_restart`       called when an operator asked for a restart, after everything was handed back
    `client`           a `Client` of your own making, instead of one for `url` and `token`
    """

    def __init__(
        self,
        url: str,
        token: str,
        handlers: Mapping[str, Handler],
        *,
        concurrency: int = 1,
        poll_every: float = 1.0,
        heartbeat_every: float | None = None,
        alone: bool = True,
        grace: float = 10.0,
        version: str = "",
        on_restart: Callable[[], None] | None = None,
        client: Client | None = None,
    ) -> None:
        if not handlers:
            raise ValueError("A bot needs a handler for at least one kind of job.")
        if concurrency < 1 or poll_every <= 0 or (heartbeat_every is not None and heartbeat_every <= 0):
            raise ValueError("concurrency, poll_every and heartbeat_every must be more than zero.")
        self._client = client or Client(url, token)
        self._grace = grace
        self._on_restart = on_restart
        # Its put() is safe in a signal handler, which no lock is: the handler may interrupt the lock's own holder.
        self._inbox: SimpleQueue[Message] = SimpleQueue()
        self._stopping = threading.Event()
        self._leases = Leases(concurrency)
        todo: SimpleQueue[Job] = SimpleQueue()
        tell = self._inbox.put
        self._claimer = Claimer(
            self._client,
            self._leases,
            todo,
            kinds=sorted(handlers),
            poll_every=poll_every,
            alone=alone,
            version=version,
            tell=tell,
        )
        self._heart = Heart(self._client, self._leases, every=heartbeat_every, version=version, tell=tell)
        self._workers = [
            Worker(self._client, self._leases, handlers, todo, tell=tell, done=self._job_done)
            for _ in range(concurrency)
        ]

    def run(self) -> int:
        """Work until told to stop. Returns the exit code: `sys.exit(bot.run())`.

        0: stopped by SIGTERM, SIGINT or `stop()`. 75: an operator asked for a restart. 76: another process took
        over. 77: the server refuses this bot. A bot runs once. In the main thread the two signals are caught; a
        second one hands the running jobs back without waiting for them.
        """
        restore = self._catch_signals()
        try:
            for thread in (*self._workers, self._heart, self._claimer):
                thread.start()
            ending = self._wait_for_ending()
            self._wind_up(ending)
        finally:
            restore()
        if ending.code == EXIT_RESTART and self._on_restart:
            self._on_restart()
        return ending.code

    def stop(self) -> None:
        """Ask the bot to stop in good order, from any thread; `run()` returns when it has."""
        self._inbox.put(Ending(EXIT_STOPPED, "Asked to stop."))

    @property
    def stopping(self) -> bool:
        """Whether the bot has begun to stop."""
        return self._stopping.is_set()

    def _job_done(self) -> None:
        if self._stopping.is_set():
            self._inbox.put(None)

    def _wait_for_ending(self) -> Ending:
        while True:
            message = self._inbox.get()
            if message is not None:
                return message

    def _wind_up(self, ending: Ending) -> None:
        log.log(logging.INFO if ending.code == EXIT_STOPPED else logging.WARNING, "%s", ending.why)
        self._stopping.set()
        self._claimer.end()
        if ending.code == EXIT_STOPPED:
            self._let_finish()
        if ending.code not in (EXIT_REPLACED, EXIT_REFUSED):
            self._hand_all_back()
        self._heart.end()
        for job in self._leases.all():
            job.stop(ending.why)
        if self._leases.wait_until_empty(LAST_WORDS):
            log.info("Stopped.")
        else:
            log.warning("Stopped, with %d handlers still running.", len(self._leases))

    def _let_finish(self) -> None:
        """Give running jobs their grace; a second signal, or the server's word, ends it early."""
        until = time.monotonic() + self._grace
        if len(self._leases):
            log.info("Waiting up to %g s for %d running jobs.", self._grace, len(self._leases))
        while len(self._leases):
            try:
                message = self._inbox.get(timeout=max(until - time.monotonic(), 0.0))
            except Empty:
                return
            if message is not None:
                return

    def _hand_all_back(self) -> None:
        until = time.monotonic() + HAND_BACK_WITHIN
        givers = []
        for job in self._leases.all():
            if not job.lost:
                # A thread each: one call that hangs must not keep the other jobs from going back.
                giver = threading.Thread(target=hand_back, args=(self._client, job), daemon=True)
                giver.start()
                givers.append(giver)
            job.stop("The bot is stopping; the job was handed back.", lost=True)
        # The claimer hands back by itself what a claim still brought.
        for thread in (*givers, self._claimer):
            thread.join(max(until - time.monotonic(), 0.0))

    def _catch_signals(self) -> Callable[[], None]:
        if threading.current_thread() is not threading.main_thread():
            return lambda: None

        def heard(number: int, frame: FrameType | None) -> None:
            self._inbox.put(Ending(EXIT_STOPPED, f"Received {signal.Signals(number).name}."))

        before = {number: signal.signal(number, heard) for number in (signal.SIGTERM, signal.SIGINT)}

        def restore() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        return restore
