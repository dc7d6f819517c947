"""PostgreSQL's advisory locks, each by its name, so that no two parts use the same."""

from enum import IntEnum

from django.db import connection


class Lock(IntEnum):
    """What only one transaction does at a time. The value is the key of its lock."""

    #: Adding closed minutes to the statistics: two sweeps at once must not add up the same minute.
    ROLLUP = 0x7A11
    #: Reconciling incidents with what the detectors find.
    RECONCILE = 0xA1E7


def try_lock(lock: Lock, **settings: str) -> bool:
    """Take a lock until the transaction ends, without waiting. False: another transaction has it.

    `settings` of PostgreSQL are set for the rest of the transaction, in the same statement.
    """
    wanted = "".join(", set_config(%s, %s, true)" for _ in settings)
    with connection.cursor() as cursor:
        params = [part for pair in settings.items() for part in pair]
        cursor.execute(f"SELECT pg_try_advisory_xact_lock(%s){wanted}", [int(lock), *params])
        return bool(cursor.fetchone()[0])
