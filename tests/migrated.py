"""Migrate one database for all processes of a run; the tests of each are in a copy of it. A pytest plugin."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.jobsite.empty_database import switch_to


@contextmanager
def _users(path: Path) -> Iterator[list[str]]:
    """The processes that use what the file stands for. No other process changes the list in the meantime."""
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        users = file.read().split()
        try:
            yield users
        finally:
            file.truncate(0)
            file.write(" ".join(users))
            file.flush()


def _create(template: str) -> None:
    """Migrate a new database, which nobody can connect to afterwards: none can be copied that is in use."""
    before, own = connection.settings_dict["NAME"], connection.settings_dict["TEST"]["NAME"]
    _drop(template)
    connection.settings_dict["TEST"]["NAME"] = template
    try:
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    finally:
        connection.settings_dict["TEST"]["NAME"] = own
        switch_to(before)
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{template}" WITH ALLOW_CONNECTIONS false')
        # A pooler has some, though we have closed ours.
        cursor.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [template])


def _drop(template: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{template}" WITH (FORCE)')


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None,
    django_db_blocker: Any,
    worker_id: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """In place of pytest-django's: with several processes, the first one migrates, and each copies."""
    if worker_id == "master":
        yield
        return
    template = f"test_{connection.settings_dict['NAME']}_template"
    # Each process has a directory of its own in that of the run.
    path = tmp_path_factory.getbasetemp().parent / "users_of_the_template"
    with django_db_blocker.unblock(), _users(path) as users:
        if not users:
            _create(template)
            # Its pool leads to the database that has been there before, whatever name the settings have from now on.
            switch_to(connection.settings_dict["NAME"])
        users.append(worker_id)
    connection.settings_dict["TEST"]["TEMPLATE"] = template
    yield
    with django_db_blocker.unblock(), _users(path) as users:
        users.remove(worker_id)
        if not users:
            _drop(template)
