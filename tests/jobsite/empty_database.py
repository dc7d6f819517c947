"""An empty database in place of the tests' own, for what is about the whole of a database and its migrations."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


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
