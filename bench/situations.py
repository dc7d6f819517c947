"""Situations to measure in: a few SQL statements that fill the tables, each in seconds.

Every function takes a cursor (psycopg's or Django's) on a migrated database, and fills by `INSERT … SELECT
generate_series`: nothing goes through the lifecycle, and the constraints of the database still hold. Call `settled`
last: it vacuums and analyses, so that PostgreSQL plans as it would in a house that has been like that for a while.
"""

from typing import Any

#: The one kind of all these jobs, with the default policy: silent for 2 minutes is past the limit, 6 is too much.
KIND = "bench"

BOTS = """
    INSERT INTO bots_bot (name, status, last_seen_at, kinds)
    SELECT 'bench-' || n, 'busy', now() - CASE WHEN n <= %(dead)s THEN %(silent)s ELSE '0' END::interval, '{}'
    FROM generate_series(1, %(bots)s) AS n
    RETURNING id
"""

HELD = """
    INSERT INTO jobs_job (kind_id, payload, status, attempt, claimed_by_id, claimed_at, started_at, heartbeat_at,
                          deadline_at, run_at, priority)
    SELECT %(kind)s, jsonb_build_object('n', n, 'text', repeat('x', 200)), 'processing', 1,
           (%(bots)s::bigint[])[1 + n %% cardinality(%(bots)s::bigint[])],
           at, at, at, at + interval '2 minutes', at, 0
    FROM (SELECT n, now() - %(silent)s::interval - random() * interval '10 seconds' AS at
          FROM generate_series(0, %(jobs)s - 1) AS n) AS rows
"""

PENDING = """
    INSERT INTO jobs_job (kind_id, payload, run_at)
    SELECT %(kind)s, jsonb_build_object('n', n), now() - interval '1 hour' + n * interval '1 millisecond'
    FROM generate_series(1, %(jobs)s) AS n
"""

FINISHED = """
    INSERT INTO jobs_job (kind_id, payload, status, attempt, claimed_at, started_at, heartbeat_at, finished_at, run_at)
    SELECT %(kind)s, jsonb_build_object('n', n), 'succeeded', 1, at, at, at, at, at
    FROM (SELECT n, now() - interval '20 days' + n * interval '1 millisecond' AS at
          FROM generate_series(1, %(jobs)s) AS n) AS rows
"""


def kind(cursor: Any) -> None:
    """The kind that all these jobs are of."""
    cursor.execute("INSERT INTO jobs_jobkind (name) VALUES (%s) ON CONFLICT DO NOTHING", [KIND])


def fleet(cursor: Any, *, bots: int, dead: int = 0, silent: str = "7 minutes") -> list[int]:
    """`bots` bots, of which the first `dead` were last seen `silent` ago. Returns their ids in that order."""
    cursor.execute(BOTS, {"bots": bots, "dead": dead, "silent": silent})
    return sorted(row[0] for row in cursor.fetchall())


def held(cursor: Any, *, jobs: int, bots: list[int], silent: str = "0") -> None:
    """`jobs` jobs that these bots hold in equal shares, last heard of `silent` ago; over 2 minutes, they are due."""
    cursor.execute(HELD, {"kind": KIND, "jobs": jobs, "bots": bots, "silent": silent})


def pending(cursor: Any, *, jobs: int) -> None:
    """`jobs` jobs for anybody to claim."""
    cursor.execute(PENDING, {"kind": KIND, "jobs": jobs})


def finished(cursor: Any, *, jobs: int) -> None:
    """`jobs` jobs of history."""
    cursor.execute(FINISHED, {"kind": KIND, "jobs": jobs})


def settled(cursor: Any) -> None:
    """Vacuum and analyse (the connection must be in autocommit)."""
    cursor.execute("VACUUM (ANALYZE) jobs_job")
    cursor.execute("VACUUM (ANALYZE) bots_bot")
    cursor.execute("VACUUM (ANALYZE) jobs_jobevent")


def sweep_at_size(
    cursor: Any, *, bots: int = 10_000, jobs: int = 100_000, due: int = 20_000, spread: bool = False,
    silent: str = "7 minutes", waiting: int = 50_000, history: int = 0, stale: bool = False,
) -> list[int]:  # fmt: skip
    """A big house for the sweep: `jobs` held by `bots`, `due` of them `silent`. Returns the ids of bots that live.

    The due jobs are those of bots that are dead altogether, as when their machines went away; with `spread` every bot
    has an equal share of them, and only leases have gone silent. `silent` beyond 6 minutes: they will expire; between
    2 and 6: their bots become potentially stuck. With `stale` the statistics are those of before.
    """
    kind(cursor)
    pending(cursor, jobs=waiting)
    finished(cursor, jobs=history)
    settled(cursor)
    dead = 0 if spread else round(bots * due / jobs)
    ids = fleet(cursor, bots=bots, dead=dead, silent=silent)
    held(cursor, jobs=due, bots=ids if spread else ids[:dead], silent=silent)
    if jobs > due:
        held(cursor, jobs=jobs - due, bots=ids[dead:])
    if not stale:
        settled(cursor)
    return ids[dead:]
