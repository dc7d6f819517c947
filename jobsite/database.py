"""Configure the database from its URL, for the settings: direct or through a pooler, with a pool in each process."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured


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
