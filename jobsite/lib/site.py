"""Compare the database with the one that the site was in before, and begin a new epoch where it is another.

After a restore the database gives numbers again that it gave before: those of the *lost future*, which bots and
producers still have. So a new epoch begins, whose attempts have other numbers (`jobs.attempts`), and new ids begin far
beyond those that may have been given. A promoted standby and a copy look the same, and are treated the same.

`compare` notices it by the cluster, the timeline and the database, at each new connection and each sweep. `declare` is
for what leaves no trace in these. Both hold notifications back, for an operator to say whether this is production.
"""

import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import structlog
from django.conf import settings
from django.db import connection
from psycopg.errors import FeatureNotSupported, InsufficientPrivilege, UndefinedTable

from jobsite.lib.sql import Statements

log = structlog.stdlib.get_logger("jobsite.site")

SQL = Statements(Path(__file__).parent / "sql")
#: How far ids go on: farther than a lost future can have come, and to no place where another restore of the same dump
#: is likely to have gone. JavaScript's numbers (2 ** 53) have room for it in every epoch.
GAP_MIN, GAP_MAX = 10**9, 10**12
#: Where a server says which it is. A managed one may refuse that.
_SOURCES = {
    "cluster": "(SELECT system_identifier FROM pg_control_system())",
    # Of the log that is being written: the control file has the new one only after a checkpoint.
    "timeline": "CASE WHEN NOT pg_is_in_recovery() "
    "THEN ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint END",
}
_UNKNOWN = dict.fromkeys(_SOURCES, "NULL::bigint")


class Identity(NamedTuple):
    """Which database this is. None: not known."""

    cluster: int | None
    timeline: int | None
    database: str | None

    def differences(self, other: "Identity") -> dict[str, tuple[Any, Any]]:
        """What both know and is not the same."""
        pairs = zip(self._fields, self, other, strict=True)
        return {name: (a, b) for name, a, b in pairs if a is not None and b is not None and a != b}


@dataclass(frozen=True)
class Epoch:
    """A new epoch, and why it began. `ids`: for each sequence the last id before, and the last id that is left out.

    `unmoved`: sequences that this role may not move.
    """

    number: int
    began_at: datetime
    why: str
    ids: dict[str, tuple[int, int]] = field(default_factory=dict)
    unmoved: list[str] = field(default_factory=list)


class WrongServer(psycopg.OperationalError):
    """The server is a standby, or a restore is still under way."""


def compare(raw: "psycopg.Connection[Any]") -> Epoch | None:
    """Begin a new epoch if this connection leads to another database than the last one did. None: it does not.

    Raises WrongServer for a server that cannot be written to.
    """
    # Before the first `migrate`.
    with suppress(UndefinedTable):
        epoch, before, present = _read(raw)
        changed = before.differences(present)
        if changed:
            why = ", ".join(f"{name} {old} → {new}" for name, (old, new) in changed.items())
            hold = settings.PROMOTION_HOLDS_ALERTS or changed.keys() != {"timeline"}
            return _begin(raw, epoch, present, f"the database was restored, copied or promoted ({why})", hold=hold)
        if any(old is None and new is not None for old, new in zip(before, present, strict=True)):
            _execute(raw, SQL.text("site_known"), present._asdict())
    return None


def compare_now() -> Epoch | None:
    """The same on Django's connection: behind a pooler it outlives the server that it led to."""
    connection.ensure_connection()
    with connection.wrap_database_errors:
        return compare(connection.connection)


def declare() -> Epoch | None:
    """Begin a new epoch because somebody knows of a restore. None: another process has begun one just now."""
    connection.ensure_connection()
    with connection.wrap_database_errors:
        compare(connection.connection)
        epoch, _, present = _read(connection.connection)
        return _begin(connection.connection, epoch, present, "a restore was declared", hold=True)


def state() -> tuple[int, datetime | None]:
    """The present epoch, and since when notifications are held back; None: they are not."""
    rows = SQL.rows("site_state")
    return (rows[0]["epoch"], rows[0]["alerts_held_since"]) if rows else (0, None)


def send_alerts() -> datetime | None:
    """Hold notifications back no longer. Returns since when they were; None: they were not."""
    rows = SQL.rows("site_sends")
    return rows[0]["alerts_held_since"] if rows else None


def _read(raw: "psycopg.Connection[Any]") -> tuple[int, Identity, Identity]:
    """The epoch, the database that the site knows, and the one that this is."""
    try:
        with raw.transaction():
            row = _execute(raw, SQL.text("site_compared", **_SOURCES))[0]
    except (InsufficientPrivilege, FeatureNotSupported):
        row = _execute(raw, SQL.text("site_compared", **_UNKNOWN))[0]
    if row[-1]:
        raise WrongServer("This PostgreSQL server is a standby, or is being restored. Jobsite needs the primary.")
    return row[0], Identity(*row[1:4]), Identity(*row[4:7])


def _begin(raw: "psycopg.Connection[Any]", epoch: int, present: Identity, why: str, *, hold: bool) -> Epoch | None:
    gap = GAP_MIN + secrets.randbelow(GAP_MAX - GAP_MIN)
    rows = _execute(raw, SQL.text("site_begins"), present._asdict() | {"epoch": epoch, "hold": hold, "gap": gap})
    if not rows:
        return None
    number, began_at = rows[0][:2]
    ids = {name: (was, now) for *_, name, was, now in rows if now is not None}
    begun = Epoch(number, began_at, why, ids, [name for *_, name, _, now in rows if name is not None and now is None])
    held = ". Alerts are held back until `manage.py after_restore --send-alerts`" if hold else ""
    left = f". This role may not move {', '.join(begun.unmoved)}: run `manage.py after_restore` as their owner"
    log.warning(f"epoch {number} begins: {why}{held}{left if begun.unmoved else ''}", epoch=number, reason=why)
    return begun


def _execute(raw: "psycopg.Connection[Any]", text: str, params: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
    # Never prepared: it is asked once for each connection.
    with psycopg.Cursor(raw) as cursor:
        cursor.execute(text, params, prepare=False)
        return cursor.fetchall() if cursor.description else []
