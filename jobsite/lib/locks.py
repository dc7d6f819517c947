"""PostgreSQL's advisory locks, each by its name, so that no two parts use the same."""

from datetime import datetime
from enum import IntEnum

from django.db import connection


class Lock(IntEnum):
    """What only one transaction does at a time. The value is the key of its lock."""

    #: Adding closed minutes to the statistics: two sweeps at once must not add up the same minute.
    ROLLUP = 0x7A11
    #: Reconciling incidents with what the detectors find.
    RECONCILE = 0xA1E7
    #: Counting failures into error groups.
    ERROR_GROUPS = 0xE44C


def wait_for(*names: str) -> None:
    """Wait for the locks of these names until the transaction ends, always in the same order."""
    with connection.cursor() as cursor:
        for name in sorted(names):
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def wait_for_lock(lock: Lock) -> None:
    """Wait for this lock until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [int(lock)])


def try_lock(lock: Lock, **settings: str) -> datetime | None:
    """Take a lock until the transaction ends, without waiting. Returns the database's time; None: another has it.

    `settings` of PostgreSQL are set for the rest of the transaction, in the same statement.
    """
    parts = "".join(", set_config(%s, %s, true)" for _ in settings)
    params = [part for pair in settings.items() for part in pair]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_try_advisory_xact_lock(%s), statement_timestamp(){parts}", [int(lock), *params])
        locked, now, *_ = cursor.fetchone()
    return now if locked else None
