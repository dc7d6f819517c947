"""One thread with an asyncio loop, on which async handlers run."""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from typing import Any

from .attempts import Attempts
from .handlers import Handler
from .job import Job
from .leases import Leases

log = logging.getLogger("jobsite_client")

# Seconds for handlers to end that were cancelled, after the bot has ended.
END_WITHIN = 1.0


class Loop(threading.Thread):
    """Runs async handlers on one loop, until `end()`. They are cancelled when their job is stopped.

    A handler that blocks the loop, by `time.sleep` for instance, blocks all others, but no heartbeat and no report.
    """

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        super().__init__(name="jobsite-loop", daemon=True)
        self._handlers = handlers
        self._loop = asyncio.new_event_loop()
        # The loop itself keeps no task alive.
        self._tasks: set[asyncio.Task[Any]] = set()

    def run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._wind_up())
        finally:
            asyncio.set_event_loop(None)
            self._loop.close()

    def end(self) -> None:
        """End the loop, and what still runs on it."""
        self.call(self._loop.stop)

    def call(self, function: Callable[[], object]) -> None:
        """Call this on the loop's thread. After its end: do nothing."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function)

    def begin(self, job: Job, ended: Callable[[asyncio.Task[Any]], None], context: Context) -> None:
        """On the loop's thread: run the job's handler. `ended` is called there, in `context`."""
        task = self._loop.create_task(self._handlers[job.kind].run(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(ended, context=context)
        job.when_stopped(partial(self.call, task.cancel))

    def wait_for(self, job: Job) -> Any:
        """In another thread: run the job's handler, and return or raise what it does."""
        done: Future[Any] = Future()
        context = copy_context()
        self.call(lambda: context.run(self.begin, job, partial(_copy, done), context))
        return done.result()

    async def _wind_up(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=END_WITHIN)
        await self._loop.shutdown_asyncgens()


def _copy(done: "Future[Any]", task: "asyncio.Task[Any]") -> None:
    """The task's result or error."""
    if task.cancelled():
        done.set_exception(asyncio.CancelledError())
    elif error := task.exception():
        done.set_exception(error)
    else:
        done.set_result(task.result())


class LoopWorker:
    """Runs the jobs in `leases` on a loop, `slots` at a time. For a bot all of whose handlers are async."""

    def __init__(self, loop: Loop, leases: Leases, attempts: Attempts, slots: int) -> None:
        self._loop = loop
        self._leases = leases
        self._attempts = attempts
        self._free = slots
        leases.call_on_arrival(partial(loop.call, self._fill))

    def _fill(self) -> None:
        while self._free and (job := self._leases.begin_now()):
            if job.cancelled.is_set():
                self._attempts.conclude(job, None)
                continue
            self._free -= 1
            # As in a new thread, there is nothing in it.
            context = Context()
            context.run(self._begin, job, context)

    def _begin(self, job: Job, context: Context) -> None:
        began = self._attempts.begin(job)
        self._loop.begin(job, partial(self._ended, job, began), context)

    def _ended(self, job: Job, began: float, task: "asyncio.Task[Any]") -> None:
        report = None
        try:
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            if error is not None:
                report = self._attempts.raised(job, began, error)
            else:
                report = self._attempts.returned(job, began, task.result())
        except Exception:
            log.exception("%s: the report could not be made; the job will expire.", job)
        self._free += 1
        self._attempts.conclude(job, report)
        self._fill()
