"""Run handlers in processes of their own, which can be killed when they do not stop."""

import logging
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from .errors import Cancelled, Deferred, GiveUp, HandlerFailed, RetryLater
from .job import Job
from .messages import ClaimedJob
from .retry_after import retry_in

log = logging.getLogger("jobsite_client")

Handler = Callable[[Job], Any]
# Seconds between looks at whether the job was stopped.
TICK = 0.1
# Not fork: the bot has threads, and what they have locked would stay locked in the child.
# What a handler raised, by what its process says of it.
ENDS = {"failed": HandlerFailed, "gave up": GiveUp, "cancelled": Cancelled, "deferred": Deferred}
_context = multiprocessing.get_context("spawn")


class Child:
    """One process that runs handlers, a job at a time. One that does not stop is killed, and another takes its place.

    `grace`: seconds from the moment that a job was stopped until its process is killed.
    """

    def __init__(self, handlers: Mapping[str, Handler], grace: float) -> None:
        self._handlers = handlers
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
                if what == "progress":
                    job.progress(*content)
                    continue
                if what == "result":
                    return content
                raise ENDS[what](*content)
            if job.cancelled.is_set() and not stopped:
                stopped = True
                pipe.send(job.cancelled_because)
            if stopped and job.stopped_for() > self._grace:
                log.warning("%s: its handler did not stop, so its process was killed.", job)
                self.kill()
                raise Cancelled(job.cancelled_because)

    def _started(self) -> Connection:
        if self._process is None or not self._process.is_alive() or self._pipe is None:
            self._pipe, theirs = _context.Pipe()
            self._process = _context.Process(target=_serve, args=(theirs, dict(self._handlers)), daemon=True)
            self._process.start()
            theirs.close()
        return self._pipe

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


class _ChildJob(Job):
    """The job as the handler has it: progress goes to the bot's own process."""

    def __init__(self, claimed: ClaimedJob, send: Callable[[tuple[str, Any]], None]) -> None:
        super().__init__(claimed)
        self._send = send

    def progress(self, percent: float, note: str | None = None) -> None:
        self._send(("progress", (percent, note)))


def _serve(pipe: Connection, handlers: Mapping[str, Handler]) -> None:
    """Run handlers for the jobs that come, until the pipe closes."""
    # Ctrl-C at a terminal and systemd's SIGTERM reach all processes. The bot's own decides what follows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    lock = threading.Lock()

    def send(message: tuple[str, Any]) -> None:
        with lock:
            pipe.send(message)

    jobs: SimpleQueue[_ChildJob] = SimpleQueue()

    def listen() -> None:
        # Between two jobs a claimed one comes, and during one why it is to stop.
        try:
            while True:
                message = pipe.recv()
                if isinstance(message, ClaimedJob):
                    job = _ChildJob(message, send)
                    jobs.put(job)
                else:
                    job.stop(message)
        except (EOFError, OSError):
            # The bot is gone, and with it the lease.
            os._exit(0)

    threading.Thread(target=listen, name="jobsite-child", daemon=True).start()
    while True:
        send(_outcome(jobs.get(), handlers))


def _outcome(job: Job, handlers: Mapping[str, Handler]) -> tuple[str, Any]:
    try:
        return "result", handlers[job.kind](job)
    except Cancelled as error:
        return "cancelled", (str(error),)
    except GiveUp as error:
        return "gave up", (str(error),)
    except Deferred as error:
        return "deferred", (error.seconds, error.reason)
    except RetryLater as error:
        return "failed", (str(error), retry_in(error))
    except BaseException as error:
        inner = error.__traceback__.tb_next if error.__traceback__ else None
        return "failed", ("".join(traceback.format_exception(type(error), error, inner)), retry_in(error))
