"""Run handlers in processes of their own, which can be killed when they do not stop."""

import logging
import multiprocessing
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

from .child import Setup, serve
from .errors import Cancelled, Deferred, GiveUp, HandlerFailed
from .handlers import Handler
from .job import Job
from .results import Results
from .wire import decode

log = logging.getLogger("jobsite_client")

# Seconds between looks at whether the job was stopped.
TICK = 0.1
# What a handler raised, by what its process says of it.
ENDS = {"failed": HandlerFailed, "gave up": GiveUp, "cancelled": Cancelled, "deferred": Deferred}
# Not fork: the bot has threads, and what they have locked would stay locked in the child.
_context = multiprocessing.get_context("spawn")


class Child:
    """One process that runs handlers, a job at a time. One that does not stop is killed, and another takes its place.

    `grace`: seconds from the moment that a job was stopped until its process is killed.
    """

    def __init__(self, handlers: Mapping[str, Handler], results: Results, grace: float) -> None:
        self._handlers = handlers
        self._results = results
        self._grace = grace
        self._process: Any = None
        self._pipe: Connection | None = None

    def run(self, job: Job) -> Any:
        """Run the job's handler, and return its result. Raises what it raised, a failure as `HandlerFailed`."""
        pipe = self._started()
        try:
            pipe.send(job.claimed)
            return self._result(job, pipe)
        except (EOFError, OSError):
            process, self._process = self._process, None
            if process is None:
                # The bot has ended and killed it.
                raise Cancelled(job.cancelled_because) from None
            process.join()
            raise HandlerFailed(f"The process of the handler ended with exit code {process.exitcode}.") from None

    def _result(self, job: Job, pipe: Connection) -> Any:
        stopped = False
        while True:
            if pipe.poll(TICK):
                what, content = pipe.recv()
                if what == "result":
                    return decode(content)
                if what in ENDS:
                    raise ENDS[what](*content)
                self._on_the_way(job, what, content)
                continue
            if job.cancelled.is_set() and not stopped:
                stopped = True
                pipe.send(job.cancelled_because)
            if stopped and job.stopped_for() > self._grace:
                log.warning("%s: its handler did not stop, so its process was killed.", job)
                self.kill()
                raise Cancelled(job.cancelled_because)

    @staticmethod
    def _on_the_way(job: Job, what: str, content: Any) -> None:
        """Progress, or what the handler logs."""
        if what == "progress":
            job.progress(*content)
            return
        logger = logging.getLogger(content.name)
        if logger.isEnabledFor(content.levelno):
            logger.handle(content)

    def _started(self) -> Connection:
        if self._process is None or not self._process.is_alive() or self._pipe is None:
            self._pipe, theirs = _context.Pipe()
            functions = {kind: handler.function for kind, handler in self._handlers.items()}
            setup = Setup(functions, self._results, _levels())
            self._process = _context.Process(target=serve, args=(theirs, setup), daemon=True)
            self._process.start()
            theirs.close()
        return self._pipe

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


def _levels() -> dict[str, int]:
    """The levels of this process's loggers, by their names; the root's is empty."""
    loggers = {"": logging.getLogger(), **logging.root.manager.loggerDict}
    return {name: it.level for name, it in loggers.items() if isinstance(it, logging.Logger) and it.level}
