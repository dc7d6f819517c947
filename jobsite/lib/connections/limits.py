"""How long the database may work for a request: for one statement, and for a read altogether.

`Connection` stops a statement that is over its time, as `psql` does at Ctrl-C. That works through a pooler, where
PostgreSQL's own `statement_timeout` would stay with a connection that others use next.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from jobsite.lib.connections import places

#: Seconds that one statement of a request may take.
MAX_SECONDS = 30.0

_until: ContextVar[float] = ContextVar("jobsite_read_until", default=math.inf)


def end_of_statement(began: float) -> float:
    """When a statement that began at this moment, by `time.monotonic`, is stopped. A command's never is."""
    return min(_until.get(), began + MAX_SECONDS if places.current() is not None else math.inf)


@contextmanager
def read_within(seconds: float) -> Iterator[None]:
    """Stop what the database still does for this thread after so many seconds."""
    token = _until.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _until.reset(token)


def read_is_over() -> bool:
    """Whether the time of `read_within` has passed."""
    return time.monotonic() >= _until.get()
