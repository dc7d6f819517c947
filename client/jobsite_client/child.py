"""The process in which handlers run when they are not to run in the bot's own."""

import asyncio
import copy
import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from .errors import Cancelled, Deferred, GiveUp, HandlerFailed, RetryLater
from .handlers import Function, Handler, trace
from .job import Job
from .logs import JobFilter, name_jobs, set_current_job
from .messages import ClaimedJob
from .results import Results
from .retry_after import retry_in
from .wire import encode

# A word for what it is, and its content.
Send = Callable[[tuple[str, Any]], None]


@dataclass(frozen=True)
class Setup:
    """What the process needs of the bot's own. `levels`: of the loggers there, by name."""

    functions: Mapping[str, Function]
    results: Results
    levels: Mapping[str, int]


class _ChildJob(Job):
    """The job as the handler has it: progress goes to the bot's own process."""

    def __init__(self, claimed: ClaimedJob, send: Send) -> None:
        super().__init__(claimed)
        self._send = send

    def progress(self, percent: float, note: str | None = None) -> None:
        self._send(("progress", (percent, note)))


class _LogSender(logging.Handler):
    """Sends records to the bot's own process, which logs them."""

    def __init__(self, send: Send) -> None:
        super().__init__()
        self._send = send
        self.addFilter(JobFilter())

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.format(record)
            # The text alone: what it was made of may not be picklable.
            sent = copy.copy(record)
            sent.msg, sent.args, sent.exc_info = record.message, None, None
            self._send(("log", sent))
        except Exception:
            self.handleError(record)


def serve(pipe: Connection, setup: Setup) -> None:
    """Run handlers for the jobs that come, until the pipe closes."""
    # Ctrl-C at a terminal and systemd's SIGTERM reach all processes. The bot's own decides what follows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    lock = threading.Lock()

    def send(message: tuple[str, Any]) -> None:
        with lock:
            pipe.send(message)

    _set_up_logging(setup.levels, send)
    handlers = {kind: Handler(function) for kind, function in setup.functions.items()}
    jobs: SimpleQueue[_ChildJob] = SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, jobs, send), name="jobsite-child", daemon=True).start()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    while True:
        send(_outcome(jobs.get(), handlers, setup.results, loop))


def _listen(pipe: Connection, jobs: "SimpleQueue[_ChildJob]", send: Send) -> None:
    """Between two jobs a claimed one comes, and during one why it is to stop."""
    job: _ChildJob | None = None
    try:
        while True:
            message = pipe.recv()
            if isinstance(message, ClaimedJob):
                job = _ChildJob(message, send)
                jobs.put(job)
            elif job is not None:
                job.stop(message)
    except (EOFError, OSError):
        # The bot is gone, and with it the lease.
        os._exit(0)


def _set_up_logging(levels: Mapping[str, int], send: Send) -> None:
    """Have the bot's own process log what is logged here, unless the user's modules have set up logging here, too."""
    root = logging.getLogger()
    if root.handlers:
        name_jobs()
        return
    root.addHandler(_LogSender(send))
    for name, level in levels.items():
        logging.getLogger(name or None).setLevel(level)


def _outcome(
    job: Job, handlers: Mapping[str, Handler], results: Results, loop: asyncio.AbstractEventLoop
) -> tuple[str, Any]:
    set_current_job(job)
    try:
        handler = handlers[job.kind]
        result = _awaited(job, handler, loop) if handler.is_async else handler.call(job)
        value, _ = results.plain(job, result)
        return "result", encode(value)
    except (Cancelled, asyncio.CancelledError) as error:
        if not isinstance(error, Cancelled) and not job.cancelled.is_set():
            return "failed", (trace(error), None)
        return "cancelled", (job.cancelled_because,)
    except GiveUp as error:
        return "gave up", (str(error),)
    except Deferred as error:
        return "deferred", (error.seconds, error.reason)
    except BaseException as error:
        why = str(error) if isinstance(error, (HandlerFailed, RetryLater)) else trace(error)
        return "failed", (why, retry_in(error))
    finally:
        set_current_job(None)


def _awaited(job: Job, handler: Handler, loop: asyncio.AbstractEventLoop) -> Any:
    task = loop.create_task(handler.run(job))
    job.when_stopped(lambda: _cancel(loop, task))
    return loop.run_until_complete(task)


def _cancel(loop: asyncio.AbstractEventLoop, task: "asyncio.Task[Any]") -> None:
    loop.call_soon_threadsafe(task.cancel)
