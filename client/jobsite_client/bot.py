"""`Bot`: give it handlers, run it. It claims, heartbeats, reports, and stops in good order."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from types import FrameType

from .api import Client
from .claimer import DRAIN_FOR, WAIT_SHARED, Claimer
from .endings import EXIT_REFUSED, EXIT_REPLACED, EXIT_RESTART, EXIT_STOPPED, Ending
from .exchanger import Exchanger
from .handback import HandBack
from .leases import Leases
from .outbox import Outbox
from .worker import Handler, Worker

__all__ = ["EXIT_REFUSED", "EXIT_REPLACED", "EXIT_RESTART", "EXIT_STOPPED", "Bot"]

log = logging.getLogger("jobsite_client")

# Seconds for handing everything back at the end, however many jobs and however slow the server.
HAND_BACK_WITHIN = 5.0
# Seconds for the answer to a claim that the server holds open, of a bot that can take the claim back (see `Claimer`).
LAST_ANSWER = 0.5
# Seconds for handlers that watch `job.cancelled` to notice it before the process ends under them.
LAST_WORDS = 1.0

# What the supervising thread is told: an ending, or None when a job is done with.
Message = Ending | None


class Bot:
    """A bot for the Jobsite server at `url`, with the `token` it was given when it was registered.

    `handlers` maps each kind of job this bot takes to a function of one argument, a `Job`. What the function
    returns is the result (any JSON value). An exception fails the job, to be tried again later; `GiveUp` fails it
    for good; `Cancelled`, from `job.check()`, reports nothing. Handlers run in threads, `concurrency` at a time.

    `prefetch`         how many more jobs to hold ready, so that no worker waits for the network between two. For
                       jobs that take milliseconds: to the server and its limits they are being worked on from the
                       moment they are claimed, and no other bot can have them. 0: only jobs a worker is free for
    `poll_every`       the longest pause between claims, seconds, while there is nothing to do and the server does not
                       hold a claim open until there is
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
        prefetch: int = 0,
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
        if prefetch < 0:
            raise ValueError("prefetch must not be less than zero.")
        self._client = client or Client(url, token)
        self._grace = grace
        self._on_restart = on_restart
        # Its put() is safe in a signal handler, which no lock is: the handler may interrupt the lock's own holder.
        self._inbox: SimpleQueue[Message] = SimpleQueue()
        self._stopping = threading.Event()
        self._alone = alone
        self._leases = Leases(concurrency + prefetch, drain_for=DRAIN_FOR if alone else 0.0)
        self._outbox = Outbox()
        self._handback = HandBack(self._client)
        self._exchanger = Exchanger(
            self._client,
            self._leases,
            self._outbox,
            self._handback,
            kinds=sorted(handlers),
            heartbeat_every=heartbeat_every,
            version=version,
            tell=self._inbox.put,
            done=self._job_done,
        )
        self._claimer = Claimer(
            self._client,
            self._leases,
            self._handback,
            kinds=sorted(handlers),
            poll_every=poll_every,
            alone=alone,
            version=version,
            # Nothing is said before the hello.
            greeted=self._exchanger.start,
            tell=self._inbox.put,
        )
        self._workers = [Worker(self._leases, self._outbox, handlers, done=self._job_done) for _ in range(concurrency)]

    def run(self) -> int:
        """Work until told to stop. Returns the exit code: `sys.exit(bot.run())`.

        0: stopped by SIGTERM, SIGINT or `stop()`. 75: an operator asked for a restart. 76: another process took
        over. 77: the server refuses this bot. A bot runs once. In the main thread the two signals are caught; a
        second one hands the running jobs back without waiting for them.
        """
        restore = self._catch_signals()
        try:
            for thread in (*self._workers, self._claimer):
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
        gives_back = ending.code not in (EXIT_REPLACED, EXIT_REFUSED)
        self._stopping.set()
        unbegun = self._leases.close()
        self._claimer.end()
        if gives_back:
            self._handback.give(unbegun)
        if ending.code == EXIT_STOPPED:
            self._let_finish()
        if gives_back:
            self._hand_all_back()
        for job in self._leases.running():
            job.stop(ending.why, lost=True)
        if self._leases.wait_until_empty(LAST_WORDS):
            log.info("Stopped.")
        else:
            running = len(self._leases.running())
            log.warning("Stopped, with %d handlers running, %d reports not out.", running, len(self._leases) - running)
        self._exchanger.end()
        if ending.code == EXIT_STOPPED:
            self._claimer.farewell()

    def _let_finish(self) -> None:
        """Give running jobs their grace; a second signal, or the server's word, ends it early."""
        until = time.monotonic() + self._grace
        if len(self._leases):
            log.info("Waiting up to %g s for %d jobs and their reports.", self._grace, len(self._leases))
        while len(self._leases):
            try:
                message = self._inbox.get(timeout=max(until - time.monotonic(), 0.0))
            except Empty:
                return
            if message is not None:
                return

    def _hand_all_back(self) -> None:
        until = time.monotonic() + HAND_BACK_WITHIN
        running = self._leases.running()
        self._handback.give(job for job in running if not job.lost)
        for job in running:
            job.stop("The bot is stopping; the job was handed back.", lost=True)
        self._leases.wait_until_reported(until - time.monotonic())
        # What its last claim still brings, the claimer hands back by itself.
        patience = LAST_ANSWER if self._alone else WAIT_SHARED + LAST_ANSWER
        self._claimer.join(max(min(until - time.monotonic(), patience), 0.0))
        self._handback.wait(until - time.monotonic())

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
