"""Django's backend for PostgreSQL, with a pool of our own connections and places in it."""

import time
from datetime import UTC
from typing import Any, ClassVar

from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql import base
from psycopg import IsolationLevel
from psycopg_pool import ConnectionPool

from jobsite.lib import site, source
from jobsite.lib.connections import moments
from jobsite.lib.connections.connection import Connection
from jobsite.lib.connections.places import Places, current


class Pool(ConnectionPool[Connection]):
    """A pool that gives a connection to those who have a place, and only one that still works."""

    def __init__(self, **options: Any) -> None:
        super().__init__(connection_class=Connection, **options)
        self.places = Places(self.max_size)

    def getconn(self, timeout: float | None = None) -> Connection:
        """Wait for a place, then for a connection. Those that ended while they were idle are replaced."""
        until = time.monotonic() + (self.timeout if timeout is None else timeout)
        caller = current()
        self.places.take(caller, until - time.monotonic())
        try:
            # Each dead one is looked at once; the pool makes new ones in their place.
            while not (connection := super().getconn(until - time.monotonic())).is_alive():
                connection.close()
                super().putconn(connection)
        except BaseException:
            self.places.give_back(caller)
            raise
        connection.caller = caller
        return connection

    def _get_ready_connection(self, timeout: float | None) -> Connection | None:
        """Take the one that was used last: its server process has its plans and the pages it needs at hand."""
        self._pool.rotate()
        return super()._get_ready_connection(timeout)

    def putconn(self, conn: Connection) -> None:
        """Return the connection and give the place back."""
        caller = conn.caller
        try:
            super().putconn(conn)
        finally:
            self.places.give_back(caller)


class DatabaseWrapper(base.DatabaseWrapper):
    """The database, as the ORM uses it."""

    #: The pools of this process that have been needed, by the alias of their database.
    pools: ClassVar[dict[str, Pool]] = {}
    # As Django's backend names them.
    _connection_pools: ClassVar[dict[str, Pool]] = pools

    @property
    def pool(self) -> Pool | None:
        """The pool of this process. It opens no connection before the first is needed."""
        if self.alias == NO_DB_ALIAS:
            return None
        pool = self.pools.get(self.alias)
        if pool is None:
            options = self.settings_dict["OPTIONS"]["pool"]
            params = self.get_connection_params() | {"autocommit": True}
            pool = Pool(kwargs=params, open=False, configure=self._configure_connection, **options)
            # When two threads come here at once, the second pool is not opened and is dropped.
            pool = self.pools.setdefault(self.alias, pool)
        return pool

    def get_connection_params(self) -> dict[str, Any]:
        """Django's, with a quicker way to read moments in UTC."""
        params: dict[str, Any] = super().get_connection_params()
        return params | ({"context": moments.adapters(params["context"])} if self.timezone == UTC else {})

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Take one from the pool. Only tests connect without one, to create their database."""
        if self.pool:
            return super().get_new_connection(conn_params)
        self.isolation_level = IsolationLevel.READ_COMMITTED
        return Connection.connect(**conn_params)

    def _configure_connection(self, connection: Connection) -> bool:
        """Do what is done once with each new connection, before anybody has it."""
        configured = bool(super()._configure_connection(connection))  # type: ignore[misc]
        # A standby follows the primary, and cannot be written to.
        if self.alias != source.REPLICA:
            site.compare(connection)
        return configured
