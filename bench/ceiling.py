"""The ceiling: the statements the server runs, from psycopg in four processes, with no web server between."""

import json
import multiprocessing
import time
from datetime import timedelta
from multiprocessing.synchronize import Barrier
from typing import Any

import psycopg

from bench.database import Server
from bench.figures import rate
from bench.load import Wrong
from jobs.sql import statement

PROCESSES = 4
RUN_WITHIN = timedelta(minutes=10)

Lease = dict[str, Any]


def _turn(connection: psycopg.Connection[Any], bot: int, limit: int, done: list[Lease]) -> list[Lease]:
    """One transaction: report what was done, claim what is next."""
    with connection.transaction(), connection.cursor(binary=True) as cursor:
        if done:
            rows = json.dumps([{**lease, "result": None} for lease in done])
            cursor.execute(statement("complete"), {"rows": rows, "bot": bot}, prepare=True)
        claim = {
            "bot": bot, "limit": limit, "kinds": None, "start": True, "instance": "", "run_within": RUN_WITHIN,
        }  # fmt: skip
        cursor.execute(statement("claim"), claim, prepare=True)
        return [{"id": row[0], "attempt": row[2]} for row in cursor.fetchall()]


def _work(url: str, bot: int, limit: int, seconds: float | None, ready: Barrier, out: Any) -> None:
    jobs, held, empty = 0, list[Lease](), 0
    with psycopg.connect(url, autocommit=True) as connection:
        ready.wait()
        first = last = time.monotonic()
        until = first + seconds if seconds else float("inf")
        while empty < 5 and last < until:
            got = _turn(connection, bot, limit, held)
            last = time.monotonic() if held else last
            jobs += len(held)
            empty = 0 if got else empty + 1
            held = got
    out.put((first, last, jobs))


def drive(server: Server, name: str, *, limit: int, seconds: float | None = None) -> float:
    """Jobs per second, claimed and completed, until nothing is left or for `seconds`."""
    context = multiprocessing.get_context("spawn")
    with server.connect(name) as connection:
        bots = [row[0] for row in connection.execute("SELECT id FROM bots_bot ORDER BY id LIMIT %s", [PROCESSES])]
    ready, out = context.Barrier(PROCESSES), context.Queue()
    processes = [
        context.Process(target=_work, args=(server.url(name), bot, limit, seconds, ready, out), daemon=True)
        for bot in bots
    ]
    for process in processes:
        process.start()
    try:
        ends = [out.get(timeout=300) for _ in processes]
    finally:
        for process in processes:
            process.join(5)
            process.kill()
    jobs = sum(end[2] for end in ends)
    if not jobs:
        raise Wrong("The ceiling found no jobs.")
    return rate(jobs, max(end[1] for end in ends) - min(end[0] for end in ends))
