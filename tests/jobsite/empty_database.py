"""An empty database, or a copy of one, in place of the tests' own.

For what is about the whole of a database and its migrations.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from django.db import connection
from psycopg.errors import UndefinedTable

from tests.cast import database_url


def switch_to(name: str) -> None:
    connection.close()
    connection.close_pool()
    connection.settings_dict["NAME"] = name


@contextmanager
def empty_database() -> Iterator[None]:
    """Django's default connection leads to it while the context lasts; then it is dropped."""
    before = connection.settings_dict["NAME"]
    name = f"{before}_empty"
    with connection.cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        cursor.execute(f'CREATE DATABASE "{name}"')
    switch_to(name)
    try:
        yield
    finally:
        switch_to(before)
        with connection.cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def copied(source: str, name: str) -> Iterator[None]:
    """Django's default connection leads to a copy of that database while the context lasts; then it is dropped."""
    before = connection.settings_dict["NAME"]
    try:
        switch_to("postgres")
        with connection.cursor() as cursor:
            # A database with sessions in it is not copied, and a listener of an earlier test may be in this one.
            cursor.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [source])
            cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
        switch_to(name)
        with psycopg.connect(database_url(), autocommit=True) as raw, suppress(UndefinedTable):
            # Django's connections would notice the copy. It is where the story begins.
            raw.execute("DELETE FROM jobsite_site")
        yield
    finally:
        try:
            switch_to("postgres")
            with connection.cursor() as cursor:
                cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        finally:
            switch_to(before)
