"""Configure the database from its URL, for the settings: direct or through a pooler, with a pool in each process."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from environ import Env

from jobsite.lib.source import REPLICA

#: Seconds in which a standby gives a connection.
STANDBY_ANSWERS = 2


def configured(database: dict[str, Any], *, prepare: bool | None, pool: dict[str, Any]) -> dict[str, Any]:
    """Return the entry of `DATABASES` for what a URL says. ImproperlyConfigured if that is not PostgreSQL."""
    if database["ENGINE"] != "django.db.backends.postgresql":
        raise ImproperlyConfigured("DATABASE_URL must name a PostgreSQL server: postgres://user:password@host/name")
    # Connections that notice a silent server, and a pool with places.
    database["ENGINE"] = "jobsite.lib.connections"
    options = database.setdefault("OPTIONS", {})
    if prepare is not False:
        # Only for statements that ask for it: the ORM fills in its parameters itself, and these are never prepared.
        options["prepare_threshold"] = 1
    # The next request tries again. Otherwise the pause between two attempts would double up to minutes.
    options["pool"] = pool | {"reconnect_timeout": 3}
    # Behind PgBouncer in transaction mode a cursor does not outlive its transaction.
    database["DISABLE_SERVER_SIDE_CURSORS"] = True
    return database


def with_replica(database: dict[str, Any], url: str, *, prepare: bool | None, pool: dict[str, Any]) -> dict[str, Any]:
    """Return `DATABASES`: the primary, and the standby at `url` unless that is empty."""
    databases = {"default": configured(database, prepare=prepare, pool=pool)}
    if url:
        # A page does not wait long for one that is away, and it needs none before the first page.
        own = pool | {"min_size": 0, "timeout": STANDBY_ANSWERS}
        databases[REPLICA] = configured(Env.db_url_config(url), prepare=prepare, pool=own)
    return databases


def embedded(directory: Path, options: Mapping[str, str] | None = None) -> str:
    """Start the embedded server with its data here, and return its URL. ImproperlyConfigured if it cannot start.

    `options` are PostgreSQL's settings, if it is not running yet.
    """
    # Development only: production has none installed.
    from jobsite.dev import postgres

    try:
        return postgres.start(directory, options=options)
    except postgres.CannotStart as error:
        raise ImproperlyConfigured(str(error)) from None
