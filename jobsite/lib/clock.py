"""The one clock, which is the database's, and the one form of a moment in answers."""

from datetime import UTC, datetime

from django.db import connection


def database_now() -> datetime:
    """When the statement that asks began, by the database's clock, in UTC."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


def moment(at: datetime) -> str:
    """A moment as every answer has it: `2026-11-26T22:29:51.108889Z`. In the database `jobs_moment` does the same."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
