"""Read jobs and bots from the tables of the system that Jobsite replaces, in its own database.

That system has jobs which are `pending`, `claimed`, `processing`, `succeeded` or `failed`, and bots with a
`health_status`, of which deleted ones stay as rows.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import IsolationLevel
from psycopg.rows import DictRow, dict_row

from jobs.enqueue.files import BadLine, validate_job
from jobs.enqueue.new_job import NewJob
from jobsite.lib.errors import BadRequest, Invalid
from jobsite.lib.strict_json import loads

#: What becomes a pending job: all that has not ended.
WAITING, HELD = "pending", ("claimed", "processing")
SUCCEEDED, FAILED = "succeeded", "failed"
STATUSES = (WAITING, *HELD, SUCCEEDED, FAILED)
JOBS, BOTS = "SELECT * FROM jobs ORDER BY id", "SELECT * FROM bots ORDER BY id"
#: Columns that say that a bot was deleted, if they are neither NULL nor false.
DELETED = ("deleted_at", "deleted", "is_deleted")
#: What else of a job is taken, where the table has such a column.
_FIELDS = ("kind", "priority", "run_at", "max_attempts")

Connection = psycopg.Connection[DictRow]


@contextmanager
def opened(url: str) -> Iterator[Connection]:
    """The older database at one moment. Nothing can be written to it."""
    with psycopg.connect(url, row_factory=dict_row, connect_timeout=10) as connection:
        connection.read_only = True
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        yield connection


class Jobs:
    """The jobs of a query, as new ones; `statuses` counts what was read, by the status it had."""

    def __init__(self, connection: Connection, query: str = JOBS, *, failed: bool = False) -> None:
        self.statuses: Counter[str] = Counter()
        self._connection, self._query = connection, query
        self._taken = {WAITING, *HELD, *([FAILED] if failed else [])}

    def __iter__(self) -> Iterator[NewJob | BadLine]:
        with self._connection.cursor("jobs") as cursor:
            cursor.execute(self._query.encode())
            for number, row in enumerate(cursor, 1):
                status = row.get("status")
                if "id" not in row or status not in STATUSES:
                    message = f"`status` is {status!r}; it may be {', '.join(STATUSES)}"
                    yield BadLine(number, message if "id" in row else "there is no `id`", "row")
                    continue
                self.statuses[status] += 1
                if status in self._taken:
                    yield _job(row)


def _job(row: DictRow) -> NewJob | BadLine:
    value = {name: row[name] for name in _FIELDS if row.get(name) is not None}
    value["key"] = f"imported-{row['id']}"
    if isinstance(at := value.get("run_at"), datetime) and at.tzinfo is None:
        value["run_at"] = at.replace(tzinfo=UTC)
    payload = row.get("payload")
    try:
        if payload is not None:
            value["payload"] = loads(payload.encode()) if isinstance(payload, str) else payload
    except (BadRequest, Invalid) as error:
        return BadLine(row["id"], f"payload: {error.detail}", "job")
    return validate_job(row["id"], value, "job")


def read_bots(connection: Connection, query: str = BOTS) -> tuple[list[dict[str, Any]], int]:
    """The bots of a query, and how many were deleted."""
    rows = connection.execute(query.encode()).fetchall()
    there = [row for row in rows if not any(row.get(name) for name in DELETED)]
    return there, len(rows) - len(there)
