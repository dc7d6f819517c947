"""Log lines: which job they are about, and none of httpx about the bot's own calls."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .job import Job

log = logging.getLogger("jobsite_client")

FORMAT = "%(asctime)s %(levelname)s %(during)s%(message)s"

_job: ContextVar[Job | None] = ContextVar("jobsite_job", default=None)
_own_call: ContextVar[bool] = ContextVar("jobsite_own_call", default=False)


def current_job() -> Job | None:
    """The job whose handler runs now: in its thread or task, and in what `asyncio.to_thread` runs for it."""
    return _job.get()


def set_current_job(job: Job | None) -> None:
    """Note which job is worked on in this thread or task from now on."""
    _job.set(job)


class JobFilter(logging.Filter):
    """Gives each record `kind`, `job` (its ID) and `attempt`, which are None outside of a handler.

    And `during`: the beginning of a line of text that names them; it is empty for a line that does so itself. Add it to
    handlers of the logging module, not to loggers.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if hasattr(record, "during"):
            # Of a handler in a process of its own.
            return True
        about = record.args[0] if isinstance(record.args, tuple) and record.args else None
        job = about if isinstance(about, Job) else _job.get()
        record.kind, record.job, record.attempt = (job.kind, job.id, job.attempt) if job else (None, None, None)
        record.during = f"{job}: " if job and job is not about else ""
        return True


def log_to_stderr(level: int | str = logging.INFO) -> None:
    """Log to standard error, with the job in each line of its handler. For programs that set up no logging."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(FORMAT))
    handler.addFilter(JobFilter())
    logging.basicConfig(level=level, handlers=[handler])


def name_jobs() -> None:
    """Add the filter to the handlers of the root logger that have none."""
    for handler in logging.getLogger().handlers:
        if not any(isinstance(known, JobFilter) for known in handler.filters):
            handler.addFilter(JobFilter())


# --- Calls of this library --------------------------------------------------------------------------------------------


@contextmanager
def own_call() -> Iterator[None]:
    """Drop what httpx logs, unless `jobsite_client` is to log at DEBUG."""
    before = _own_call.set(True)
    try:
        yield
    finally:
        _own_call.reset(before)


def _is_wanted(record: logging.LogRecord) -> bool:
    return not _own_call.get() or log.isEnabledFor(logging.DEBUG)


logging.getLogger("httpx").addFilter(_is_wanted)
