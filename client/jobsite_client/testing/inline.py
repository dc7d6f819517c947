"""Run a handler in the caller's thread, as a bot would run it."""

import asyncio
from collections.abc import Callable
from typing import Any

from ..errors import Cancelled
from ..handlers import Function, Handler
from ..job import Job
from ..logs import set_current_job
from ..messages import ClaimedJob
from ..results import Encoder, Results
from ..wire import decode, encode


class _InlineJob(Job):
    """A job whose progress goes to the test."""

    def __init__(self, claimed: ClaimedJob, on_progress: Callable[[float, str | None], object] | None) -> None:
        super().__init__(claimed)
        self._on_progress = on_progress

    def progress(self, percent: float, note: str | None = None) -> None:
        if self._on_progress:
            self._on_progress(percent, note)


def run_inline(
    handler: Function,
    payload: Any = None,
    *,
    kind: str = "test",
    key: str | None = None,
    attempt: int = 1,
    cancelled: bool = False,
    encode_other: Encoder | None = None,
    on_progress: Callable[[float, str | None], object] | None = None,
) -> Any:
    """Run a handler, `async def` too, with a job that has this payload. Returns its result as the server would have it.

    What it raises is raised: `GiveUp`, `RetryLater`, `Deferred`, `PayloadError` for a payload that does not fit, or any
    other exception. With `cancelled` its job is cancelled already: `job.check()` raises `Cancelled`. `encode_other` is
    the bot's `encode`. `on_progress` is called as `job.progress` is.
    """
    claimed = ClaimedJob(1, kind, attempt, decode(encode(payload)), 0, key, None, None, None)
    job = _InlineJob(claimed, on_progress)
    if cancelled:
        job.stop("The test cancelled it.", lost=True)
    running = Handler(handler)
    set_current_job(job)
    try:
        result = asyncio.run(_awaited(running, job)) if running.is_async else running.call(job)
    finally:
        set_current_job(None)
    plain, _ = Results(encode_other).plain(job, result)
    return decode(encode(plain))


async def _awaited(handler: Handler, job: Job) -> Any:
    if job.cancelled.is_set():
        # A bot does not begin it, and cancels its task if it runs.
        raise Cancelled(job.cancelled_because)
    return await handler.run(job)
