"""A connection whose silence is noticed, whose calls end in time, and that works through a pooler."""

import contextlib
import re
import select
import time
from collections.abc import Generator, Sequence
from typing import Any, Self, TypeVar

import psycopg
from django.conf import settings
from django.db.backends.postgresql.base import Cursor
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from jobsite.lib.connections import limits, places, silence

T = TypeVar("T")

#: How libpq notices a peer that no longer acknowledges, within 11 seconds. DATABASE_URL may set others.
LIBPQ: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
#: Seconds that a statement waits for a lock before it is refused.
LOCK_WAIT = 3
#: What the server is asked for: to notice a lost client by itself, to keep no lock for one that does nothing, and to
#: compile no statement, which takes longer than any of ours.
SERVER = {
    "jit": "off",
    "lock_timeout": f"{LOCK_WAIT}s",
    "idle_in_transaction_session_timeout": "60s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "3",
    "tcp_keepalives_count": "3",
}
#: What PostgreSQL does not carry out inside a transaction.
_ALONE = re.compile(r"\bCONCURRENTLY\b|^\s*(VACUUM|(CREATE|DROP|ALTER)\s+(DATABASE|TABLESPACE|SYSTEM))\b", re.I)


class Silent(psycopg.OperationalError):
    """The server does not answer, and the connection was closed."""


class Lost(psycopg.OperationalError):
    """What came is no answer to what was sent: the server, or the pooler, has ended the connection."""


class Connection(psycopg.Connection[Any]):
    """A connection to PostgreSQL, or to a pooler before it."""

    #: The server behind it is another in each transaction.
    pooled = False
    #: How long its statements wait for a lock, if it is pooled. Another's is the server's to know.
    lock_timeout = SERVER["lock_timeout"]
    #: The caller whose place in the pool it has.
    caller: places.Caller | None = None
    _server: silence.Server | None = None
    _incoming: select.poll
    #: The cursors of `fetch`, by their statements.
    cursors: dict[str, "KeptCursor"]

    @classmethod
    def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
        """Connect, with everything that holds for each connection of the project."""
        params = LIBPQ | conninfo_to_dict(conninfo) | kwargs
        options = " ".join([*(f"-c {name}={value}" for name, value in SERVER.items()), params.get("options", "")])
        try:
            connection = super().connect(**(params | {"options": options}))
        except psycopg.OperationalError as error:
            if "unsupported startup parameter" not in str(error):
                raise
            # PgBouncer takes no options, as each transaction may get another connection of the server.
            connection = super().connect(**params)
        connection._server = silence.server({name: value for name, value in params.items() if name in _ADDRESS})
        connection.cursors = {}
        connection._incoming = select.poll()
        connection._incoming.register(connection.pgconn.socket, select.POLLIN)
        connection._detect_pooler()
        return connection

    def _detect_pooler(self) -> None:
        """A pooler names a process that is not the server's: it passes a request to cancel on to the present one."""
        (process,) = self.execute("SELECT pg_backend_pid()").fetchone() or (0,)
        if not self.autocommit:
            self.rollback()
        self.pooled = process != self.info.backend_pid
        if self.pooled:
            if settings.DATABASE_PREPARE is None:
                self.prepare_threshold = None
            self.cursor_factory = PooledCursor  # type: ignore[assignment]  # Django's is not typed

    def fetch(self, text: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Run a statement with `$1`, `$2` … in it and return its rows. For the few statements that are run often."""
        # A cursor that is kept knows how to write the parameters and read the columns, which takes as long as the rest.
        cursor = self.cursors.pop(text, None) or KeptCursor(self)
        cursor.execute(text, params)
        rows = cursor.fetchall()
        cursor.forget()
        # Not after an error. A connection is used by one thread at a time.
        self.cursors[text] = cursor
        return rows

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """Wait for an answer, as psycopg does, and not for a server that gives none."""
        try:
            return super().wait(self._watch(gen), *args, **kwargs)
        except KeyboardInterrupt:
            # psycopg has cancelled the statement. If the signal came while `_watch` ran, that has ended, and the
            # statement's end is still to be read.
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                with contextlib.suppress(psycopg.Error):
                    super().wait(gen, *args, **kwargs)
            raise

    def _watch(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        began = time.monotonic()
        doubts, ends = began + silence.DOUBT_AFTER, limits.end_of_statement(began)
        try:
            state = next(gen)
            while True:
                ready = yield state
                # Nothing came for a tenth of a second, which is how often psycopg wakes.
                if not ready:
                    now = time.monotonic()
                    if now > doubts:
                        self._doubt(began)
                        doubts = time.monotonic() + silence.DOUBT_AFTER
                    if now > ends:
                        self.cancel_safe(timeout=silence.ANSWER_WITHIN)
                        ends = now + silence.DOUBT_AFTER
                state = gen.send(ready)
        except StopIteration as end:
            value: T = end.value
            return value
        except psycopg.InternalError as error:
            if error.sqlstate is not None:
                raise
            # Of psycopg itself: PgBouncer passes on the server's farewell, and adds its own.
            self.pgconn.finish()
            raise Lost(str(error)) from error

    def _doubt(self, began: float) -> None:
        if self._server is not None and self._server.is_silent(began):
            self.pgconn.finish()
            raise Silent(f"the database has not answered for {time.monotonic() - began:.0f} s")

    def is_alive(self) -> bool:
        """Whether nothing has come on it while it was idle: the server sends its farewell when it ends it.

        No round trip. What else may come (a notice, a changed parameter) costs a new connection.
        """
        if self.closed:
            return False
        return not self._incoming.poll(0)


class KeptCursor(psycopg.RawCursor[Any]):
    """A cursor that is used again for the same statement."""

    def forget(self) -> None:
        """Drop the rows, which may be long, and keep what was learned."""
        self._reset()
        self._tx.set_pgresult(None)


class PooledCursor(Cursor):
    """A cursor through a pooler: its statement waits for a lock no longer than one of a direct connection.

    Each transaction may get another connection of the server, so what holds for it is set in it.
    """

    def execute(self, query: Any, params: Any = None, **kwargs: Any) -> Any:
        """Execute a statement, in a transaction with its bounds."""
        raw: Connection = self.connection  # type: ignore[attr-defined]
        alone = isinstance(query, str) and _ALONE.search(query)
        if alone or raw.info.transaction_status != TransactionStatus.IDLE:
            return super().execute(query, params, **kwargs)  # type: ignore[misc]
        with contextlib.ExitStack() as stack:
            if raw.autocommit:
                stack.enter_context(raw.transaction())
            bounds = f"SET LOCAL lock_timeout = '{raw.lock_timeout}'; SET LOCAL jit = '{SERVER['jit']}'"
            psycopg.Cursor(raw).execute(bounds.encode())
            return super().execute(query, params, **kwargs)  # type: ignore[misc]


#: The parameters that name a server, and what it needs to let somebody in.
_ADDRESS = frozenset({
    "host", "hostaddr", "port", "dbname", "user", "password", "passfile", "service", "sslmode", "sslrootcert",
    "sslcert", "sslkey", "target_session_attrs", "require_auth", "channel_binding", "gssencmode",
})  # fmt: skip
