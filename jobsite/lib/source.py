"""Which database the reads of this thread go to: the primary, or for a while a standby of it. Writes know only one."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Model

#: The standby's name in `DATABASES`, if `REPLICA_URL` is set.
REPLICA = "replica"
#: Whose rows may be read there. People, their sessions and permissions are always the primary's.
APPS = frozenset({"jobs", "bots", "alerts"})

_alias: ContextVar[str] = ContextVar("jobsite_source", default=DEFAULT_DB_ALIAS)


def connection() -> Any:
    """Django's connection for reads by SQL."""
    return connections[_alias.get()]


@contextmanager
def reading_from(alias: str) -> Iterator[None]:
    """Read from this database within."""
    token = _alias.set(alias)
    try:
        yield
    finally:
        _alias.reset(token)


class Router:
    """The same for the ORM."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        """Where to read the rows of a model."""
        return _alias.get() if model._meta.app_label in APPS else None

    def db_for_write(self, model: type[Model], **hints: Any) -> str:
        """Where to write them, and to lock them, wherever they were read."""
        return DEFAULT_DB_ALIAS

    def allow_relation(self, one: Model, other: Model, **hints: Any) -> bool:
        """They are one database."""
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        """A standby gets its schema from the primary."""
        return db == DEFAULT_DB_ALIAS
