"""Empty the database after a test that committed. A pytest plugin.

Django truncates every table and creates all content types and permissions once more; that takes a third of a second,
for one row or for none. What `migrate` made is left here, since no test changes it. Rows of small tables are deleted,
which takes a hundredth of the time of a TRUNCATE of tables with so many indexes.
"""

from collections.abc import Iterator

import pytest
from django.db import connection, transaction
from django.test import TransactionTestCase

#: Filled by `migrate`.
KEPT = {"django_content_type", "auth_permission"}
#: A bot or kind that a job needs cannot be deleted before that.
FIRST = ["jobs_job"]
#: Bytes up to which rows are deleted. A larger table is truncated, so that no later test reads what is left of it.
SMALL = 256 * 1024


def empty_tables() -> None:
    """Remove all rows but those of `migrate`."""
    assert connection.settings_dict["NAME"].startswith("test_"), "this is not a database of the tests"
    ours = set(connection.introspection.django_table_names(only_existing=True, include_views=False)) - KEPT
    names = [*FIRST, *sorted(ours - {*FIRST})]
    with transaction.atomic(), connection.cursor() as cursor:
        # As TRUNCATE does: what others have begun ends first, and none of its rows are left.
        cursor.execute(f"LOCK TABLE {', '.join(names)}")
        cursor.execute(" UNION ALL ".join(f"SELECT '{name}', pg_relation_size('{name}')" for name in names))
        size = dict(cursor.fetchall())
        if large := [name for name in names if size[name] > SMALL]:
            cursor.execute(f"TRUNCATE {', '.join(large)} CASCADE")
        for name in names:
            if size[name]:
                cursor.execute(f"DELETE FROM {name}")


@pytest.fixture(scope="session", autouse=True)
def tables_are_emptied() -> Iterator[None]:
    """In place of Django's flush."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda self: empty_tables())
        yield
