"""Measure what grows with time: bots work for half an hour, while the sweep prunes what is minutes old.

Each minute has a line: throughput, latency of a bot beside the load, memory of every process, size of the database. At
the end stand the size and density of each table and index, after the first minutes and at the end.
"""

import http.client
import json
import threading
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import psycopg

from bench import jobsite_server, load
from bench.contenders import Bench
from bench.figures import figure, percentile, ratio, size
from bench.tables import Table

ABOUT = "half an hour at half load with pruning: throughput, latency, memory, every index, minute by minute"
#: Jobs are deleted when they ended this long ago, by a sweep each so many seconds.
KEEP_FOR, SWEEP_EVERY = "2 minutes", 10
#: The relations are measured after so many minutes for the first time: by then as much is deleted as is added.
SETTLED = 5
#: Seconds between two calls of the bot that measures latency, and between two looks at what is pending.
PROBE_EVERY, FILL_EVERY = 0.1, 0.5

SIZES = """
    SELECT c.relname, c.relkind = 'i' AND i.indrelid <> 0, pg_relation_size(c.oid), c.oid
    FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'i') AND pg_relation_size(c.oid) > 65536
    ORDER BY 3 DESC
"""


def add_arguments(parser: ArgumentParser) -> None:
    """The scenario's options."""
    parser.add_argument("--minutes", type=int, default=30, help="(default: %(default)s; with --quick: 1)")
    parser.add_argument("--bots", type=int, default=50, help="how many bots (default: %(default)s)")
    parser.add_argument("--limit", type=int, default=5, help="jobs in a call (default: %(default)s)")
    parser.add_argument("--pause", type=int, default=90, help="ms between calls of a bot (default: %(default)s)")
    parser.add_argument("--pending", type=int, default=2000, help="jobs kept pending (default: %(default)s)")


def run(bench: Bench, options: Namespace) -> dict[str, Any]:
    """Measure; `minutes` are rows, `relations` are sizes in bytes and densities by name, at the first and last look."""
    minutes = 1 if bench.quick else options.minutes
    with bench.server.database("bench_soak", jobsite_server.TEMPLATE) as name:
        bench.server.run(name, f"UPDATE jobs_jobkind SET keep_for = '{KEEP_FOR}'")
        bench.fill(name, options.pending)
        with (
            jobsite_server.site(bench.server, name) as site,
            jobsite_server.sweeping(bench.server, name, SWEEP_EVERY) as sweep,
            _until_the_end(lambda ended: _fill(bench, name, options.pending, ended)) as filling,
            _Probe(site, bench.fleet.tokens[options.bots]) as probe,
            _until_the_end(lambda ended: _drive(bench, site, options, minutes, ended)) as driving,
        ):
            rows, looks = [], []
            for minute in range(1, minutes + 1):
                rows.append(_minute(bench, name, site, sweep, probe))
                bench.say(_line(minute, rows[-1]))
                for problem in (*filling, *driving):
                    raise problem
                if minute in (min(SETTLED, minutes), minutes):
                    looks.append(relations(bench, name))
    return {"minutes": rows, "relations": {"first": looks[0], "last": looks[-1]}}


@contextmanager
def _until_the_end(work: Callable[[threading.Event], None]) -> Iterator[list[Exception]]:
    """Run `work` in a thread until the block ends. Yields a list that has the exception which ended it early."""
    ended, problems = threading.Event(), list[Exception]()

    def guarded() -> None:
        try:
            work(ended)
        except Exception as error:
            problems.append(error)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    try:
        yield problems
    finally:
        ended.set()
        thread.join(30)


def _drive(bench: Bench, site: jobsite_server.Site, options: Namespace, minutes: int, ended: threading.Event) -> None:
    tokens = bench.fleet.tokens[: options.bots]
    load.drive(
        site.url, "exchange", tokens,
        limit=options.limit, seconds=60 * minutes + 600, until=ended, pause=options.pause,
    )  # fmt: skip


def _fill(bench: Bench, name: str, pending: int, ended: threading.Event) -> None:
    """Keep so many jobs pending."""
    with bench.server.connect(name) as connection:
        while not ended.wait(FILL_EVERY):
            # As many as were missing, and half as many again, so that bots find jobs until the next look.
            connection.execute(
                "INSERT INTO jobs_job (kind_id, payload) SELECT 'noop', '{}' FROM generate_series(1, (SELECT "
                "(%s - count(*)) * 3 / 2 FROM (SELECT FROM jobs_job WHERE status = 'pending' LIMIT %s) AS there))",
                [pending, pending],
            )


class _Probe:
    """A bot that calls some times a second, and how long its calls take."""

    def __init__(self, site: jobsite_server.Site, token: str) -> None:
        self._port, self._token = site.port, token
        self._took: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "_Probe":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(30)

    def take(self) -> list[float]:
        """Return the times of the calls since the last time, in seconds."""
        took, self._took = self._took, []
        return took

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        done: list[dict[str, int]] = []
        while not self._ended.wait(PROBE_EVERY):
            began = time.monotonic()
            connection.request(
                "POST", "/api/v1/exchange", json.dumps({"completed": done, "claim": {"limit": 1}}), headers
            )
            answer = json.loads(connection.getresponse().read())
            self._took.append(time.monotonic() - began)
            done = [{"id": job["id"], "attempt": job["attempt"]} for job in answer["jobs"]]


def _minute(bench: Bench, name: str, site: jobsite_server.Site, sweep: psutil.Process, probe: _Probe) -> dict[str, Any]:
    ended = "SELECT count(*) FROM jobs_job WHERE kind_id = 'noop' AND status = 'succeeded' AND finished_at > %s"
    since = bench.server.ask(name, "SELECT clock_timestamp()")
    wal = bench.server.wal()
    probe.take()
    time.sleep(60)
    done = bench.server.ask(name, ended, [since])
    took = probe.take()
    written = bench.server.wal() - wal
    return {
        "rate": done / 60,
        "p50": percentile(took, 50) if took else None,
        "p99": percentile(took, 99) if took else None,
        "wal": ratio(written, done),
        "memory": {"server": site.memory(), "sweep": sweep.memory_full_info().pss, "database": bench.server.memory()},
        "rows": bench.server.ask(name, "SELECT reltuples::bigint FROM pg_class WHERE relname = 'jobs_job'"),
        "size": int(bench.server.ask(name, "SELECT pg_database_size(current_database())")),
    }


def _line(minute: int, row: dict[str, Any]) -> str:
    memory = row["memory"]
    each = ", ".join(size(one) for one in memory["server"])
    database = "" if memory["database"] is None else f", database {size(memory['database'])}"
    return (
        f"minute {minute}: {figure(row['rate'])} jobs/s, a call {_ms(row['p50'])} / {_ms(row['p99'])}, "
        f"WAL {figure(row['wal'])} B a job; memory: server {each}, sweep {size(memory['sweep'])}{database}; "
        f"{row['rows']} rows, {size(row['size'])} on disk"
    )


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value * 1000:.1f} ms"


def relations(bench: Bench, name: str) -> dict[str, dict[str, Any]]:
    """Return size and density in percent of each table and index. Density needs PostgreSQL's `pgstattuple`."""
    found: dict[str, dict[str, Any]] = {}
    with bench.server.connect(name) as connection:
        try:
            connection.execute("CREATE EXTENSION IF NOT EXISTS pgstattuple")
            measured = True
        except psycopg.Error:
            measured = False
        for relation, is_index, bytes_, oid in connection.execute(SIZES).fetchall():
            density = None
            if measured and is_index:
                row = connection.execute("SELECT avg_leaf_density FROM pgstatindex(%s::regclass)", [oid]).fetchone()
                density = row and row[0]
            elif measured:
                row = connection.execute("SELECT tuple_percent FROM pgstattuple(%s::regclass)", [oid]).fetchone()
                density = row and row[0]
            found[relation] = {"index": is_index, "size": bytes_, "density": density}
    return found


def tables(result: dict[str, Any]) -> list[Table]:
    """Tabulate some of the minutes, and each relation."""
    minutes = result["minutes"]
    shown = sorted({0, *range(4, len(minutes), 5), len(minutes) - 1})
    rows = [
        [
            str(index + 1), figure(row["rate"]), f"{_ms(row['p50'])} / {_ms(row['p99'])}", figure(row["wal"]),
            ", ".join(size(one) for one in row["memory"]["server"]), size(row["memory"]["sweep"]),
            "–" if row["memory"]["database"] is None else size(row["memory"]["database"]), size(row["size"]),
        ]
        for index, row in ((index, minutes[index]) for index in shown)
    ]  # fmt: skip
    columns = ["minute", "jobs/s", "a call, p50 / p99", "WAL a job, bytes", "server", "sweep", "database", "on disk"]
    made = [Table("Minute by minute", columns, rows)]
    first, last = result["relations"]["first"], result["relations"]["last"]
    rows = [
        [name, *(_size(at.get(name)) for at in (first, last)), *(_density(at.get(name)) for at in (first, last))]
        for name in last
    ]
    columns = ["table or index", "size, settled", "size, at the end", "density, settled", "density, at the end"]
    return [*made, Table("Tables and indexes of more than 64 kB", columns, rows)]


def _size(relation: dict[str, Any] | None) -> str:
    return "–" if relation is None else size(relation["size"])


def _density(relation: dict[str, Any] | None) -> str:
    return "–" if relation is None or relation["density"] is None else f"{relation['density']:.0f} %"
