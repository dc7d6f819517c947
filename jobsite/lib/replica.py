"""Read what is heavy from a standby (`REPLICA_URL`), and say how far it is behind.

The primary is read where there is no standby, where it does not answer, and where it is more than a minute behind. Only
lists and figures are read from a standby: no claim and no other call of a bot or a key, and nothing that is changed.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import structlog
from django.db import InterfaceError, OperationalError, connections
from django.http import HttpRequest, HttpResponse
from django.template.response import SimpleTemplateResponse

from jobsite.lib import source
from jobsite.lib.reads import named
from jobsite.lib.sql import Statements

T = TypeVar("T")

log = structlog.stdlib.get_logger("jobsite.replica")

SQL = Statements(Path(__file__).parent / "sql")
#: Seconds that a standby may be behind, and that one is left alone which did not answer, or is too far behind.
MOST_BEHIND, LEFT_ALONE = 60.0, 10.0
#: How long a page waits for a standby to catch up with what was committed before it was asked for.
CATCH_UP, EACH = 0.5, 0.02

_alone_until = 0.0


def read(work: Callable[[float | None], T]) -> T:
    """Do what only reads, from the standby if there is one. It is given how many seconds that is behind, or None."""
    try:
        behind = _behind()
        if behind is not None:
            with source.reading_from(source.REPLICA), connections[source.REPLICA].execute_wrapper(named):
                return work(behind)
    except (OperationalError, InterfaceError) as error:
        _leave_alone(f"does not answer: {error}")
    return work(None)


def for_figures(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Read for a page of the console from the standby, and tell the page in `request.behind` how far that is behind."""

    @wraps(view)
    def from_replica(page: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        def work(behind: float | None) -> HttpResponse:
            request.behind = behind and timedelta(seconds=round(behind))  # type: ignore[attr-defined]
            response = view(page, request, *args, **kwargs)
            # What a template asks for is read while it is rendered.
            return response.render() if isinstance(response, SimpleTemplateResponse) else response

        return read(work) if request.method in ("GET", "HEAD") else view(page, request, *args, **kwargs)

    return from_replica


def _behind() -> float | None:
    """How many seconds the standby is behind the primary. None: there is none to read from."""
    if source.REPLICA not in connections or time.monotonic() < _alone_until:
        return None
    (primary,) = SQL.rows("replica_primary")
    ends = time.monotonic() + CATCH_UP
    with source.reading_from(source.REPLICA):
        while not (standby := SQL.rows("replica_standby", until=primary["written"])[0])["complete"]:
            if time.monotonic() > ends:
                return _usable(primary["at"], standby["at"])
            time.sleep(EACH)
    return 0.0


def _usable(now: datetime, at: datetime | None) -> float | None:
    behind = None if at is None else max(0.0, (now - at).total_seconds())
    if behind is None or behind > MOST_BEHIND:
        _leave_alone("has replayed nothing yet" if behind is None else f"is {behind:.0f} s behind")
        return None
    return behind


def _leave_alone(why: str) -> None:
    global _alone_until
    _alone_until = time.monotonic() + LEFT_ALONE
    log.warning(f"the standby {why}. The primary is read for {LEFT_ALONE:.0f} s", reason=why)
