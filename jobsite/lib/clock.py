"""The one clock, which is the database's, and the one form of a moment in answers."""

from datetime import UTC, datetime

from django.core.exceptions import ValidationError
from django.db import connection

#: The years between which moments that people and programs give must be. Others exist not in every time zone.
YEARS = (1970, 9000)


def is_usable(at: datetime) -> bool:
    """Say whether a moment that somebody gave can be stored, compared and shown in every time zone."""
    return YEARS[0] < at.year < YEARS[1]


def check_usable(at: datetime | None) -> None:
    """Check a moment in a form or command. ValidationError for one that is not usable."""
    if at is not None and not is_usable(at):
        raise ValidationError(f"Use a time between the years {YEARS[0]} and {YEARS[1]}.")


def database_now() -> datetime:
    """When the statement that asks began, by the database's clock, in UTC."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


def moment(at: datetime) -> str:
    """A moment as every answer has it: `2026-11-26T22:29:51.108889Z`. In the database `jobs_moment` does the same."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
