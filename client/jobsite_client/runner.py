"""A running bot: its threads and processes, and how it shuts down in order."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any

from .api import Client
from .attempts import Attempts, Observer
from .children import Child
from .claimer import Claimer
from .endings import EXIT_REFUSED, EXIT_REPLACED, EXIT_STOPPED, Ending
from .errors import JobsiteError
from .exchanger import Exchanger
from .handback import HandBack
from .handlers import Handler
from .job import Job
from .leases import Leases
from .loop import Loop, LoopWorker
from .outbox import Outbox
from .results import Results
from .worker import Worker

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


@dataclass(frozen=True)
class Options:
    """The options of a bot that its threads need, checked."""

    concurrency: int
    processes: int
    prefetch: int
    poll_every: float
    heartbeat_every: float | None
    identity: str
    grace: float
    version: str


class Runner:
    """Runs the handlers of a bot, once. `inbox` has what may end it; `stopping` is set when it begins to stop."""

    def __init__(
        self,
        client: Client,
        handlers: Mapping[str, Handler],
        options: Options,
        results: Results,
        *,
        inbox: "SimpleQueue[Message]",
        stopping: threading.Event,
    ) -> None:
        self._client = client
        self._handlers = handlers
        self._options = options
        self._results = results
        self._inbox = inbox
        self._stopping = stopping
        grace = options.grace + (KILL_WITHIN if options.processes else 0.0)
        self.leases = Leases(options.processes or options.concurrency, options.prefetch, grace)
        self._outbox = Outbox()
        self._handback = HandBack(client)
        self._exchanger = Exchanger(
            client,
            self.leases,
            self._outbox,
            self._handback,
            results,
            kinds=sorted(handlers),
            heartbeat_every=options.heartbeat_every,
            timeouts={kind: handler.timeout for kind, handler in handlers.items()},
            version=options.version,
            on_ending=inbox.put,
            done=self._job_done,
        )
        self._claimer = Claimer(
            client,
            self.leases,
            self._handback,
            kinds=sorted(handlers),
            poll_every=options.poll_every,
            identity=options.identity,
            version=options.version,
            # Nothing may be sent before the hello.
            greeted=self._exchanger.start,
            on_ending=inbox.put,
        )
        self._children: list[Child] = []
        self._loop: Loop | None = None

    def run(self, observers: Iterable[Observer]) -> Ending:
        """Work until something ends it."""
        restore = self._catch_signals()
        try:
            for thread in (*self._workers(list(observers)), self._claimer):
                thread.start()
            ending = self._wait_for_ending()
            self._shut_down(ending)
        finally:
            # Python waits at its exit for processes that are left, and these end by nothing else.
            for child in self._children:
                child.kill()
            if self._loop:
                self._loop.end()
            restore()
        return ending

    def _workers(self, observers: list[Observer]) -> list[threading.Thread]:
        """The threads that run handlers: in processes, on a loop, or themselves; some of both where handlers differ."""
        attempts = Attempts(self.leases, self._outbox, self._results, observers, self._job_done)
        options = self._options
        if options.processes:
            count = range(options.processes)
            self._children = [Child(self._handlers, self._results, options.grace) for _ in count]
            return [Worker(self.leases, attempts, child.run) for child in self._children]
        in_loop = [handler.is_async for handler in self._handlers.values()]
        self._loop = Loop(self._handlers) if any(in_loop) else None
        if self._loop and all(in_loop):
            LoopWorker(self._loop, self.leases, attempts, options.concurrency)
            return [self._loop]
        handle = self._handle_mixed if self._loop else self._handle
        workers: list[threading.Thread] = [Worker(self.leases, attempts, handle) for _ in range(options.concurrency)]
        return [*workers, self._loop] if self._loop else workers

    def _handle(self, job: Job) -> Any:
        return self._handlers[job.kind].call(job)

    def _handle_mixed(self, job: Job) -> Any:
        handler = self._handlers[job.kind]
        return self._loop.wait_for(job) if self._loop and handler.is_async else handler.call(job)

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
        not_begun = self.leases.close()
        self._claimer.end()
        if may_hand_back:
            self._handback.give(not_begun)
        if ending.code == EXIT_STOPPED:
            self._let_finish()
        if may_hand_back:
            self._hand_back_all()
        for job in self.leases.running():
            job.stop(ending.why, lost=True)
        if self.leases.wait_until_empty(HANDLER_STOP_WAIT):
            log.info("Stopped.")
        else:
            running = len(self.leases.running())
            log.warning("Stopped, with %d handlers running, %d reports not out.", running, len(self.leases) - running)
        self._exchanger.end()

    def _let_finish(self) -> None:
        """Wait up to `grace` for running jobs. A second signal or an ending from the server stops the wait."""
        until = time.monotonic() + self._options.grace
        if len(self.leases):
            log.info("Waiting up to %g s for %d jobs and their reports.", self._options.grace, len(self.leases))
        while len(self.leases):
            try:
                message = self._inbox.get(timeout=max(until - time.monotonic(), 0.0))
            except Empty:
                return
            if message is not None:
                return

    def _hand_back_all(self) -> None:
        running = [job for job in self.leases.running() if not job.lost]
        for job in running:
            job.stop("The bot is stopping; the job was handed back.", lost=True)
        self.leases.wait_until_reported(REPORTS_WITHIN)
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
