"""Why the database, or the pool before it, refused a call that may be repeated, as a sentence for the caller."""

import re
from typing import TYPE_CHECKING, Any, cast

import psycopg
from django.apps import apps
from django.db import connection
from psycopg.errors import DeadlockDetected, LockNotAvailable, QueryCanceled, SerializationFailure

from jobsite.lib.connections import places
from jobsite.lib.connections.places import NoPlace

if TYPE_CHECKING:
    from jobsite.lib.connections.base import DatabaseWrapper

#: Seconds in which the name of a locked row is known, or left out.
ANSWER_WITHIN = 1.0
_LOCKED = re.compile(r'tuple (\(\d+,\d+\)) in relation "(\w+)"')
AGAIN = "Nothing was changed; try again."


def why(error: BaseException) -> str | None:
    """Return the sentence. None: it was not refused, or not for a reason that passes."""
    cause = error if isinstance(error, psycopg.Error) else error.__cause__
    if isinstance(cause, NoPlace):
        return str(cause)
    if isinstance(cause, LockNotAvailable):
        return f"{locked_row(cause)} is locked just now. {AGAIN}"
    if isinstance(cause, DeadlockDetected | SerializationFailure):
        return f"Others need the same rows just now. {AGAIN}"
    if isinstance(cause, QueryCanceled):
        return f"This took too long and was stopped. {AGAIN}"
    return None


def locked_row(error: LockNotAvailable) -> str:
    """Name the row that another transaction has locked: `Job 17`."""
    match = _LOCKED.search(error.diag.context or "")
    table, place = (match[2], match[1]) if match else _contested()
    model = next((model for model in apps.get_models() if model._meta.db_table == table), None)
    if model is None:
        return "A row that this needs"
    name = str(model._meta.verbose_name)
    # The name of a row is its own, where it has one.
    column = "name" if any(field.name == "name" and field.unique for field in model._meta.fields) else "pk"
    value = _value(model, column, place)
    label = name[:1].upper() + name[1:]
    article = "An" if name[:1] in "aeiou" else "A"
    return f"{label} {value}" if value is not None else f"{article} {name}"


def _contested() -> tuple[str, str]:
    """The table and place of the row for which others wait, if it is one.

    PostgreSQL names the row only to the first who waits for it. The next wait for that one's lock of the row.
    """
    rows = _rows(
        "SELECT DISTINCT relation::regclass::text, format('(%s,%s)', page, tuple) FROM pg_locks "
        "WHERE locktype = 'tuple' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    return (str(rows[0][0]), str(rows[0][1])) if len(rows) == 1 else ("", "")


def _value(model: Any, column: str, place: str) -> Any:
    name = connection.ops.quote_name
    field = model._meta.pk if column == "pk" else model._meta.get_field(column)
    rows = _rows(f"SELECT {name(field.column)} FROM {name(model._meta.db_table)} WHERE ctid = %s::tid", place)  # noqa: S608
    return rows[0][0] if rows else None


def _rows(statement: str, *params: str) -> list[tuple[Any, ...]]:
    """Ask on a connection of its own: the transaction that was refused may not have ended yet."""
    pool = cast("DatabaseWrapper", connection).pool
    if pool is None:
        return []
    try:
        with places.held_by(None), pool.connection(ANSWER_WITHIN) as asking:
            return asking.execute(statement.encode(), params or None).fetchall()
    except psycopg.Error:
        return []
