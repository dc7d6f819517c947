"""Empty the database after a test that committed. A pytest plugin.

Django truncates every table and creates all content types and permissions once more; that takes a third of a second,
for one row or for none. What `migrate` made is left here, since no test changes it. Rows of small tables are deleted,
which takes a hundredth of the time of a TRUNCATE of tables with so many indexes.
"""

from collections.abc import Iterator

import pytest
from django.db import OperationalError, connection, transaction
from django.test import TransactionTestCase
from psycopg.errors import LockNotAvailable

from tests.jobsite.empty_database import switch_to

#: Filled by `migrate`.
KEPT = {"django_content_type", "auth_permission"}
#: A bot or kind that a job needs cannot be deleted before that.
FIRST = ["jobs_job"]
#: How long a test's own transactions may take to end. Those that are idle do not end.
PATIENCE = "40s"
#: Bytes up to which rows are deleted. A larger table is truncated, so that no later test reads what is left of it.
SMALL = 256 * 1024


def empty_tables() -> None:
    """Remove all rows but those of `migrate`."""
    connection.ensure_connection()
    # Where it is, and not what the settings say: a pool may lead elsewhere.
    assert connection.connection.info.dbname.startswith("test_"), "this is not a database of the tests"
    ours = set(connection.introspection.django_table_names(only_existing=True, include_views=False)) - KEPT
    names = [*FIRST, *sorted(ours - {*FIRST})]
    with transaction.atomic(), connection.cursor() as cursor:
        # As TRUNCATE does: what others have begun ends first, and none of its rows are left.
        cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'; LOCK TABLE {', '.join(names)}")
        cursor.execute(" UNION ALL ".join(f"SELECT '{name}', pg_relation_size('{name}')" for name in names))
        size = dict(cursor.fetchall())
        if large := [name for name in names if size[name] > SMALL]:
            cursor.execute(f"TRUNCATE {', '.join(large)} CASCADE")
        for name in names:
            if size[name]:
                cursor.execute(f"DELETE FROM {name}")


def _end_other_sessions() -> list[str]:
    """End what a failed test has left in its database; the last statement of each."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND pg_terminate_backend(pid, 5000)"
        )
        return [query for (query,) in cursor.fetchall()]


def _leave_it_empty(test: object) -> None:
    """Empty the tables whatever the test has done to its connection and left on others: its failure is its own."""
    try:
        empty_tables()
    except OperationalError as error:
        connection.close()
        connection.close_pool()
        left = _end_other_sessions()
        empty_tables()
        if isinstance(error.__cause__, LockNotAvailable):
            pytest.fail(f"The test left a transaction open. The last statements of other sessions: {left}")


@pytest.fixture(scope="session", autouse=True)
def tables_are_emptied() -> Iterator[None]:
    """In place of Django's flush."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", _leave_it_empty)
        yield


@pytest.fixture(autouse=True)
def the_database_stays() -> Iterator[None]:
    """Django's default connection leads to the tests' database after a test, or the test fails and no other does."""
    before = connection.settings_dict["NAME"]
    yield
    after = connection.settings_dict["NAME"]
    if before.startswith("test_") and before != after:
        switch_to(before)
        pytest.fail(f"The test left the connection at {after}.")
