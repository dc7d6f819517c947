"""Configure the database from its URL, for the settings: direct or through a pooler, with a pool in each process."""

from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured


def configured(url: str, embedded: Path, *, prepare: bool | None, pool: dict[str, Any]) -> dict[str, Any]:
    """Return the entry of `DATABASES`. Without a URL it starts the embedded server, whose data are under `embedded`.

    ImproperlyConfigured when that cannot start, or the URL is none of PostgreSQL.
    """
    database: dict[str, Any] = environ.Env.db_url_config(url or _embedded(embedded))
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


def _embedded(directory: Path) -> str:
    # Development only: production has no such server installed.
    from jobsite.dev import postgres

    try:
        return postgres.start(directory)
    except postgres.CannotStart as error:
        raise ImproperlyConfigured(str(error)) from None
