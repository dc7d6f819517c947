"""One statement on a pooled connection, as cheaply as can be."""

from collections.abc import Sequence
from typing import Any, cast

import psycopg
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections, transaction

from jobsite.lib.connections.base import DatabaseWrapper
from jobsite.lib.connections.connection import Connection
from jobsite.lib.connections.places import current


def fetch(text: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run a statement with `$1`, `$2` … in it and return its rows.

    Outside a transaction a connection is taken from Django's pool for just this statement, and Django's own, with all
    that it does when it is opened and closed for a request, is left alone.
    """
    # The wrapper itself: each use of `connection` asks for it once more.
    database = cast(DatabaseWrapper, connections[DEFAULT_DB_ALIAS])
    if database.in_atomic_block:
        # What fails here must leave the caller's transaction as it was.
        with transaction.atomic(), database.wrap_database_errors:
            return _own(database).fetch(text, params)
    with database.wrap_database_errors:
        pool = database.pool if database.connection is None else None
        if pool is None:
            database.ensure_connection()
            return _own(database).fetch(text, params)
        pool.open()
        with pool.connection() as pooled:
            # What is raised here is rolled back by the pool.
            if not pooled.autocommit:
                pooled.autocommit = True
            return pooled.fetch(text, params)


def _own(database: DatabaseWrapper) -> Connection:
    """The connection that Django has now."""
    return cast(Connection, database.connection)


def repeats_slow_call() -> bool:
    """Whether another call like the present one, by the same caller, has held a connection for a while."""
    # A call is only once at a time on a connection: where this one has its own, no other has.
    return connection.connection is None and repeats_slow_call_on_loop()


def repeats_slow_call_on_loop() -> bool:
    """Say the same for a task of an event loop, which has no connection.

    Django's connections are slow there: each use of one copies what belongs to the task.
    """
    pool = DatabaseWrapper.pools.get(DEFAULT_DB_ALIAS)
    return pool is not None and pool.places.has_slow_call(current())


def refused_by_server(error: DatabaseError) -> psycopg.Error | None:
    """The server's own refusal behind `error`: the statement surely did nothing. None: the connection was lost.

    After a lost connection nobody knows what was done.
    """
    cause = error.__cause__
    if not isinstance(cause, psycopg.Error) or cause.sqlstate is None:
        return None
    # 08: connection exceptions; 57P: the server shuts down or has crashed; 40003: it does not know itself.
    return None if cause.sqlstate.startswith(("08", "57P", "40003")) else cause
