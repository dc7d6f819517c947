"""What an error of the database says of the work: nothing was done, or that is not known.

The server refuses a statement with an error of its own, and then the transaction did nothing. When the connection is
lost, it did nothing only if COMMIT had not been sent. Every text that promises "nothing was changed" asks here.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType

import psycopg
from django.db import DatabaseError, InterfaceError
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from jobsite.lib.db import refused_by_server
from jobsite.lib.errors import OutcomeUnknown, Unavailable

#: All that a statement may raise. The pool's errors come unwrapped where a connection is taken by hand.
ERRORS = (DatabaseError, InterfaceError, psycopg.Error)
#: The pool had no connection to give: nothing was sent.
NOT_SENT = (PoolTimeout, PoolClosed, TooManyRequests)


class _BeforeCommit:
    """Marks what is raised in its block. A class, since every new job passes it and a generator takes longer."""

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is not None:
            error.before_commit = True  # type: ignore[attr-defined]


_before_commit = _BeforeCommit()


def before_commit() -> AbstractContextManager[None]:
    """Mark what is raised here, Ctrl-C too: no COMMIT of the work had been sent, so nothing of it was done.

    Use it inside the outermost transaction of a call, where no transaction of the same call has ended before.
    """
    return _before_commit


@contextmanager
def after_commit(what: str) -> Iterator[None]:
    """Turn every failure here into OutcomeUnknown: a part was committed before. `what` says what to do now."""
    try:
        yield
    except (*ERRORS, Unavailable) as error:
        raise OutcomeUnknown(what) from error


def nothing_done(error: BaseException) -> bool:
    """Whether the database certainly did nothing of the transaction, or the statement, that ended with `error`."""
    if getattr(error, "before_commit", False):
        return True
    if isinstance(error if isinstance(error, psycopg.Error) else error.__cause__, NOT_SENT):
        return True
    return isinstance(error, DatabaseError) and refused_by_server(error) is not None


def unavailable(error: BaseException, *, reads: bool) -> Unavailable | OutcomeUnknown:
    """Return the answer to a call that ended with `error`. `reads`: the call changes nothing, whatever happens."""
    away = "The database cannot answer just now."
    if reads:
        return Unavailable(f"{away} Try again.")
    if nothing_done(error):
        return Unavailable(f"{away} Nothing was changed; try again.")
    return OutcomeUnknown(
        "The connection to the database was lost before it answered. Whether this was carried out is not known. Repeat "
        "a report, or a new job with its key, as it is. After a claim call hello with what you hold (`holds`)."
    )
