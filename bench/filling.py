"""Fill the job table with millions of rows of the past."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import Connection

from bench.database import Server

PENDING = "pending"
FINISHED = "finished"
HELD = "held"

#: How many bots hold the held rows.
HOLDERS = 1000

_ROWS = {
    # After all measured jobs, in the order of claims.
    PENDING: "INSERT INTO jobs_job (kind_id, payload, priority) SELECT 'noop', '{}', -1 FROM generate_series(1, %d)",
    FINISHED: """
        INSERT INTO jobs_job (kind_id, payload, status, attempt, claimed_at, started_at, heartbeat_at, finished_at,
                              created_at, run_at, result)
        SELECT 'noop', '{}', 'succeeded', 1, t, t, t, t, t, t, '{}'
        FROM (SELECT now() - interval '30 days' * (n::double precision / %d) AS t
              FROM generate_series(1, %d) AS n) moments
    """,
    HELD: """
        INSERT INTO jobs_job (kind_id, payload, status, attempt, claimed_by_id, claimed_at, started_at, heartbeat_at,
                              deadline_at)
        SELECT 'noop', '{}', 'processing', 1, bots.ids[1 + n %% array_length(bots.ids, 1)], now(), now(), now(),
               now() + interval '2 hours' + n * interval '1 ms'
        FROM generate_series(1, %d) AS n,
             (SELECT array_agg(id) AS ids FROM bots_bot WHERE name LIKE 'holder-%%') AS bots
    """,
}


@contextmanager
def without_indexes(server: Server, name: str) -> Iterator[Connection[Any]]:
    """Insert jobs by this connection. Their indexes are built after them, which takes a fraction of the time."""
    with server.connect(name) as connection:
        indexes = connection.execute(
            """
            SELECT indexname, indexdef FROM pg_indexes
            WHERE tablename = 'jobs_job'
              AND indexname NOT IN (SELECT conname FROM pg_constraint WHERE conrelid = 'jobs_job'::regclass)
            """
        ).fetchall()
        # Without this, foreign keys are checked row by row. Those of these rows are valid.
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET maintenance_work_mem = '512MB'")
        for index, _ in indexes:
            connection.execute(f'DROP INDEX "{index}"'.encode())
        yield connection
        for _, definition in indexes:
            connection.execute(definition.encode())


def holders(server: Server, name: str, count: int) -> None:
    """Create bots without tokens, to hold jobs."""
    server.run(
        name,
        "INSERT INTO bots_bot (name, kinds, last_seen_at, status, token_prefix) "
        f"SELECT 'holder-' || n, '{{}}', now(), 'busy', '' FROM generate_series(1, {count}) AS n",
    )


def insert_rows(server: Server, name: str, status: str, count: int) -> None:
    """Insert `count` rows."""
    if not count:
        return
    if status == HELD:
        holders(server, name, HOLDERS)
    text = _ROWS[status]
    text = text % ((count,) * text.count("%d"))
    with without_indexes(server, name) as connection:
        connection.execute(text.encode())
    server.settle(name)


def due(server: Server, name: str, held: int, bots: int, late: int) -> None:
    """Insert `held` jobs of `bots` bots in equal shares, `late` of them due: the first bots have died."""
    holders(server, name, bots)
    dead = round(bots * late / held)
    server.run(
        name,
        f"""
        WITH ranked AS (SELECT id, row_number() OVER (ORDER BY id) AS n FROM bots_bot WHERE name LIKE 'holder-%')
        INSERT INTO jobs_job (kind_id, payload, status, attempt, claimed_by_id, claimed_at, started_at, heartbeat_at,
                              deadline_at)
        SELECT 'noop', '{{}}', 'processing', 1, r.id, at, at, at, at + interval '2 minutes'
        FROM ranked r
        CROSS JOIN generate_series(1, {held // bots}) AS g
        -- Three times the limit of two minutes, and a little more: these expire.
        CROSS JOIN LATERAL (SELECT now() - CASE WHEN r.n <= {dead} THEN interval '7 minutes'
                                                ELSE interval '0' END AS at) moments
        """,
        "UPDATE bots_bot SET last_seen_at = now() - interval '7 minutes' "
        f"WHERE id IN (SELECT id FROM bots_bot WHERE name LIKE 'holder-%' ORDER BY id LIMIT {dead})",
    )
    server.settle(name)
