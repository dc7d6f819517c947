"""`Bot` runs handlers: it claims jobs, sends heartbeats and reports, and shuts down in order."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from types import FrameType

from .api import Client
from .children import Child
from .claimer import Claimer, host_name, new_instance
from .endings import EXIT_REFUSED, EXIT_REPLACED, EXIT_RESTART, EXIT_STOPPED, Ending
from .errors import JobsiteError
from .exchanger import Exchanger
from .handback import HandBack
from .job import Job
from .leases import Leases
from .outbox import Outbox
from .worker import Handler, Worker

__all__ = ["EXIT_REFUSED", "EXIT_REPLACED", "EXIT_RESTART", "EXIT_STOPPED", "Bot"]

log = logging.getLogger("jobsite_client")

# Seconds for the last reports at shutdown, and for goodbye.
REPORTS_WITHIN, GOODBYE_WITHIN = 2.0, 2.0
# Seconds for handing all jobs back one by one, if the server cannot take a goodbye.
HAND_BACK_WITHIN = 5.0
# Seconds to wait for the answer to an open claim at shutdown. The goodbye ends it.
LAST_ANSWER = 0.5
# Seconds for a process to end that is killed, before its slot counts as lost.
KILL_WITHIN = 5.0
# Seconds for handlers to notice `job.cancelled` before the process exits.
HANDLER_STOP_WAIT = 1.0

# Messages to the supervising thread: an ending, or None when a job is finished.
Message = Ending | None


class Bot:
    """A bot for the Jobsite server at `url`, with the `token` it was given when it was registered.

    `handlers` maps each kind of job this bot takes to a function of one argument, a `Job`. What the function
    returns is the result (any JSON value). An exception fails the job, to be tried again later; `GiveUp` fails it
    for good; `Cancelled`, from `job.check()`, reports nothing. Handlers run in threads, `concurrency` at a time.

    `processes`        run handlers in so many processes, and not in threads: one that does not stop is killed. Handlers
                       must be functions of a module
    `timeout`          how long a handler may run, seconds: for all, or by kind. Then it is asked to stop, and the job
                       fails. A thread that does not stop costs its slot, see the README
    `prefetch`         how many more jobs to hold ready, so that no worker waits for the network between two. For
                       jobs that take milliseconds: to the server and its limits they are being worked on from the
                       moment they are claimed, and no other bot can have them. 0: only jobs a worker is free for
    `poll_every`       the longest pause between claims, seconds, while there is nothing to do and the server does not
                       hold a claim open until there is
    `heartbeat_every`  seconds between heartbeats; by default a third of the time to each job's deadline
    `identity`         what stays the same when this process is started again: by default the name of the host, which
                       is a pod's in Kubernetes. A process replaces an older one of the same bot and identity
    `alone`            False lets several processes of one identity use this bot (and its token) at the same time
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
        processes: int = 0,
        timeout: float | Mapping[str, float] | None = None,
        prefetch: int = 0,
        poll_every: float = 1.0,
        heartbeat_every: float | None = None,
        identity: str | None = None,
        alone: bool = True,
        grace: float = 3.0,
        version: str = "",
        on_restart: Callable[[], None] | None = None,
        client: Client | None = None,
    ) -> None:
        if not handlers:
            raise ValueError("A bot needs a handler for at least one kind of job.")
        if concurrency < 1 or poll_every <= 0 or (heartbeat_every is not None and heartbeat_every <= 0):
            raise ValueError("concurrency, poll_every and heartbeat_every must be more than zero.")
        if identity is not None and not alone:
            raise ValueError("Give an identity, or alone=False for one of the process's own; not both.")
        if prefetch < 0 or processes < 0:
            raise ValueError("prefetch and processes must not be less than zero.")
        if processes and concurrency not in (1, processes):
            raise ValueError("processes is the number of handlers that run at a time; leave concurrency out.")
        concurrency = processes or concurrency
        timeouts = dict(timeout) if isinstance(timeout, Mapping) else dict.fromkeys(handlers, timeout or 0.0)
        if min(timeouts.values(), default=0) < 0 or timeouts.keys() - handlers.keys():
            raise ValueError("timeout has seconds for kinds that have a handler.")
        self._client = client or Client(url, token)
        self._grace = grace
        self._on_restart = on_restart
        # SimpleQueue.put() is safe in a signal handler. A lock is not: the handler may interrupt its holder.
        self._inbox: SimpleQueue[Message] = SimpleQueue()
        self._stopping = threading.Event()
        self._leases = Leases(concurrency, prefetch, grace + (KILL_WITHIN if processes else 0.0))
        self._outbox = Outbox()
        self._handback = HandBack(self._client)
        self._exchanger = Exchanger(
            self._client,
            self._leases,
            self._outbox,
            self._handback,
            kinds=sorted(handlers),
            heartbeat_every=heartbeat_every,
            timeouts=timeouts,
            version=version,
            on_ending=self._inbox.put,
            done=self._job_done,
        )
        self._claimer = Claimer(
            self._client,
            self._leases,
            self._handback,
            kinds=sorted(handlers),
            poll_every=poll_every,
            identity=new_instance() if not alone else host_name() if identity is None else identity,
            version=version,
            # Nothing may be sent before the hello.
            greeted=self._exchanger.start,
            on_ending=self._inbox.put,
        )
        self._children = [Child(handlers, grace) for _ in range(processes)]
        in_threads: list[Handler] = [lambda job: handlers[job.kind](job)] * (concurrency if not processes else 0)
        handling = [*in_threads, *(child.run for child in self._children)]
        self._workers = [Worker(self._leases, self._outbox, handle, done=self._job_done) for handle in handling]

    def run(self) -> int:
        """Work until stopped. Returns the exit code: `sys.exit(bot.run())`.

        0: stopped by SIGTERM, SIGINT or `stop()`. 75: an operator asked for a restart, or no slot is left. 76: another
        process took over. 77: the server refuses this bot. A bot runs once. In the main thread the two signals are
        caught; a second one hands the running jobs back without waiting for them.
        """
        restore = self._catch_signals()
        try:
            for thread in (*self._workers, self._claimer):
                thread.start()
            ending = self._wait_for_ending()
            self._shut_down(ending)
        finally:
            # Python waits at its exit for processes that are left, and these end by nothing else.
            for child in self._children:
                child.kill()
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

    def _shut_down(self, ending: Ending) -> None:
        log.log(logging.INFO if ending.code == EXIT_STOPPED else logging.WARNING, "%s", ending.why)
        may_hand_back = ending.code not in (EXIT_REPLACED, EXIT_REFUSED)
        self._stopping.set()
        not_begun = self._leases.close()
        self._claimer.end()
        if may_hand_back:
            self._handback.give(not_begun)
        if ending.code == EXIT_STOPPED:
            self._let_finish()
        if may_hand_back:
            self._hand_back_all()
        for job in self._leases.running():
            job.stop(ending.why, lost=True)
        if self._leases.wait_until_empty(HANDLER_STOP_WAIT):
            log.info("Stopped.")
        else:
            running = len(self._leases.running())
            log.warning("Stopped, with %d handlers running, %d reports not out.", running, len(self._leases) - running)
        self._exchanger.end()

    def _let_finish(self) -> None:
        """Wait up to `grace` for running jobs. A second signal or an ending from the server stops the wait."""
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

    def _hand_back_all(self) -> None:
        running = [job for job in self._leases.running() if not job.lost]
        for job in running:
            job.stop("The bot is stopping; the job was handed back.", lost=True)
        self._leases.wait_until_reported(REPORTS_WITHIN)
        until = time.monotonic() + HAND_BACK_WITHIN
        if not self._say_goodbye(running):
            self._handback.give(running)
        # The claimer itself hands back jobs of its last claim.
        self._claimer.join(LAST_ANSWER)
        self._handback.wait(until - time.monotonic())

    def _say_goodbye(self, running: list[Job]) -> bool:
        """Let the server release all that this process holds, and end its claims. False: it did not."""
        if self._client.instance is None:
            return True
        try:
            self._client.goodbye(timeout=GOODBYE_WITHIN, retry_for=GOODBYE_WITHIN)
        except JobsiteError as error:
            log.warning("The goodbye was not taken, so jobs are handed back one by one. %s", error.detail)
            return False
        for job in running:
            log.info("%s: handed back.", job)
        return True

    def _catch_signals(self) -> Callable[[], None]:
        if threading.current_thread() is not threading.main_thread():
            return lambda: None

        def stop_on_signal(number: int, frame: FrameType | None) -> None:
            self._inbox.put(Ending(EXIT_STOPPED, f"Received {signal.Signals(number).name}."))

        before = {number: signal.signal(number, stop_on_signal) for number in (signal.SIGTERM, signal.SIGINT)}

        def restore() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        return restore
