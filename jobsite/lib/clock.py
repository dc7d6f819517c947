"""The one clock: the database's."""

from datetime import datetime

from django.db import connection


def database_now() -> datetime:
    """When the statement that asks began, by the database's clock, in UTC."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now
