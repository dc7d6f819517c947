"""Crash PostgreSQL, end its connections, hold locks and snapshots."""

import random
import time

from tests.torture.stage import Stage

_OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
#: Rows that work needs, some of them.
_ROWS = (
    "SELECT FROM jobs_job WHERE claimed_by_id IS NOT NULL AND random() < 0.3 FOR UPDATE SKIP LOCKED",
    "SELECT FROM jobs_job WHERE status = 'pending' AND random() < 0.1 LIMIT 200 FOR UPDATE SKIP LOCKED",
    "SELECT FROM bots_bot WHERE random() < 0.5 FOR UPDATE SKIP LOCKED",
    "SELECT FROM jobs_jobkind WHERE random() < 0.5 FOR UPDATE SKIP LOCKED",
    "SELECT FROM bots_apikey FOR UPDATE SKIP LOCKED",
)
_TABLES = ("jobs_job", "jobs_jobevent", "bots_bot", "bots_instance", "jobs_jobkind", "alerts_incident")
_MODES = ("SHARE", "EXCLUSIVE", "ACCESS EXCLUSIVE")


def crash(stage: Stage, rng: random.Random) -> None:
    stage.world.stop("immediate")
    time.sleep(rng.uniform(0, 1))
    stage.world.start()
    time.sleep(rng.uniform(1, 2))


def terminate(stage: Stage, rng: random.Random) -> None:
    _run(stage, f"SELECT pg_terminate_backend(pid) {_OTHERS}")
    time.sleep(rng.uniform(0.2, 1))


def terminate_some(stage: Stage, rng: random.Random) -> None:
    _run(stage, f"SELECT pg_terminate_backend(pid) {_OTHERS} AND random() < 0.3 AND state <> 'idle'")
    time.sleep(rng.uniform(0.05, 0.3))


def lock_rows(stage: Stage, rng: random.Random) -> None:
    """For less than a statement waits, or for more."""
    _held(stage, rng.choice(_ROWS), rng.choice([rng.uniform(0.1, 1), rng.uniform(3, 4)]))


def lock_tables(stage: Stage, rng: random.Random) -> None:
    table, mode = rng.choice(_TABLES), rng.choice(_MODES)
    _held(stage, f"LOCK TABLE {table} IN {mode} MODE", rng.choice([rng.uniform(0.1, 1), rng.uniform(3, 4)]))


def snapshot(stage: Stage, rng: random.Random) -> None:
    with stage.connect() as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT count(*) FROM jobs_job")
        time.sleep(rng.uniform(3, 8))
        connection.execute("ROLLBACK")


def _run(stage: Stage, statement: str) -> None:
    with stage.connect() as connection:
        connection.execute(statement.encode())


def _held(stage: Stage, statement: str, seconds: float) -> None:
    with stage.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute(statement.encode())
        time.sleep(seconds)
