"""What all tests of a file have in common, made once: they are within one transaction, which is undone after the last.

Each test of such a file undoes what it changed with a transaction of its own within. The file takes these fixtures in
place of those of `tests.cast`.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from bots import roster
from bots.models import Bot
from tests.cast import bot_named, person_named


@pytest.fixture(scope="module")
def lasting_rows(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """What is made from here on is there until the last test of the file has ended."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield
        transaction.set_rollback(True)


def check_and_analyze() -> None:
    """Check the references of all rows, once: of many rows that takes half a second, and each test would do so.

    And let PostgreSQL count the rows of all tables. What it knows of those that are empty is of earlier tests, also of
    rows that were undone, and decides how it reads the others.
    """
    connection.check_constraints()
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {', '.join(names)}")


@pytest.fixture(scope="module")
def ada(lasting_rows: None) -> Bot:
    """In place of the ada that each test makes."""
    return bot_named("ada")


@pytest.fixture(scope="module")
def olga(lasting_rows: None) -> User:
    """In place of the olga that each test makes."""
    return person_named("olga")


@pytest.fixture(scope="module")
def olga_key(olga: User) -> str:
    return roster.create_key(olga)[1]
