"""Moments of results are read as psycopg reads them, in UTC."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.db.utils import DataError

from jobsite.lib.connections.moments import MomentLoader

pytestmark = pytest.mark.django_db

MOMENTS = (
    "2026-11-26 22:29:51.108889+00", "2026-11-26 22:29:51.5+00", "2026-11-26 22:29:51+00", "0001-01-01 00:00:00+00",
    "9999-12-31 23:59:59.999999+00",
)  # fmt: skip


def asked(sql: str, *params: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchone()[0]


@pytest.mark.parametrize("text", MOMENTS)
def test_a_moment_is_the_one_that_the_database_has(text: str) -> None:
    found = asked("SELECT %s::timestamptz", text)
    assert found == datetime.fromisoformat(text)
    assert found.tzinfo is UTC


@pytest.mark.parametrize("text", ["infinity", "-infinity", "10000-01-01 00:00:00+00", "0044-03-15 00:00:00+00 BC"])
def test_what_python_has_no_moment_for_is_an_error(text: str) -> None:
    with pytest.raises(DataError):
        asked("SELECT %s::timestamptz", text)


def test_nothing_is_nothing_and_lists_are_read_alike() -> None:
    assert asked("SELECT NULL::timestamptz") is None
    assert asked("SELECT ARRAY[%s::timestamptz]", MOMENTS[0]) == [datetime.fromisoformat(MOMENTS[0])]


def test_the_connection_has_this_loader() -> None:
    connection.ensure_connection()
    assert connection.connection.adapters.get_loader(1184, 0) is MomentLoader
