"""What `migrate` adds to Django's own: it refuses a database that is too old, and never waits long for a lock.

An ordinary change of a table needs a lock that stops everybody. While it waits for that lock behind a long transaction,
every bot waits behind it. So it gives up after `LOCK_TIMEOUT` and is run again. No migration sets this by itself.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from jobsite.lib.connections.connection import SERVER

LOCK_TIMEOUT = "5s"
#: The commit whose migrations the squashed ones replace. Upgrades begin with it.
FIRST = "430f651"

LOCK_NOT_AVAILABLE, DEADLOCK = "55P03", "40P01"


def too_old(connection: BaseDatabaseWrapper) -> str:
    """Why this database cannot be upgraded: it has some of what a squashed migration replaces, and not all. Or empty.

    Where the replaced migrations are still on disk, as other people's may be, Django runs the missing ones by itself.
    """
    loader = MigrationLoader(None)
    applied = MigrationRecorder(connection).applied_migrations()
    for _, squashed in sorted(loader.replacements.items()):
        there = [name for name in squashed.replaces if name in applied]
        missing = [name for name in squashed.replaces if name not in applied and name not in loader.disk_migrations]
        if there and missing:
            return (
                f"This database is older than commit {FIRST}, the first that this code upgrades: it has "
                f"{'.'.join(there[-1])} and not {'.'.join(missing[0])}. Run `manage.py migrate` with the code of that "
                "commit, then with this one."
            )
    return ""


@contextmanager
def short_waits(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Let a statement wait at most `LOCK_TIMEOUT` for a lock, unless it runs CONCURRENTLY."""
    _set(connection, LOCK_TIMEOUT)
    try:
        with connection.execute_wrapper(_wait_if_concurrent):
            yield
    finally:
        # The connection goes back to a pool. If it is broken, there is nothing to set back.
        with suppress(DatabaseError):
            _set(connection, "DEFAULT")


def gave_up(error: DatabaseError, migration: Migration | None) -> str:
    """One line for an error that was about a lock: which migration, and what to do. Empty for any other error."""
    state = getattr(error.__cause__, "sqlstate", None)
    if state not in (LOCK_NOT_AVAILABLE, DEADLOCK):
        return ""
    name = str(migration) if migration else "The work that follows the migrations"
    what = (
        f"waited {LOCK_TIMEOUT} for a lock and gave up."
        if state == LOCK_NOT_AVAILABLE
        else "and another transaction waited for each other's locks, and PostgreSQL ended this one."
    )
    left = (
        "It runs without a transaction, so its first statements may have been applied."
        if migration and not migration.atomic
        else "Nothing of it was applied."
    )
    return f"{name} {what} {left} Run `manage.py migrate` again when no long transaction is open."


def _wait_if_concurrent(
    execute: Callable[..., Any], sql: str, params: Any, executemany: bool, context: dict[str, Any]
) -> Any:
    """CREATE and DROP INDEX CONCURRENTLY wait for every older transaction, and nobody waits behind them."""
    if "CONCURRENTLY" not in str(sql).upper():
        return execute(sql, params, executemany, context)
    connection: BaseDatabaseWrapper = context["connection"]
    _set(connection, "0")
    try:
        return execute(sql, params, executemany, context)
    finally:
        with suppress(DatabaseError):
            _set(connection, LOCK_TIMEOUT)


def _set(connection: BaseDatabaseWrapper, timeout: str) -> None:
    connection.ensure_connection()
    if connection.connection.pooled:
        connection.connection.lock_timeout = SERVER["lock_timeout"] if timeout == "DEFAULT" else timeout
        return
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = {timeout if timeout == 'DEFAULT' else repr(timeout)}")
