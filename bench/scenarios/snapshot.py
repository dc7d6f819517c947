"""Measure throughput while an old snapshot is held open (a backup, a forgotten psql), and without it.

Rows that die after the snapshot cannot be removed while it is open, nor can their index entries: a claim that starts
at the front of its index reads all of them, more with every job.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench import jobsite_server
from bench.contenders import Bench
from bench.figures import figure, rate, ratio
from bench.peers_run import PEER_LIST, Peer, PeerFailed, measure
from bench.tables import Table

ABOUT = "a snapshot held open while 500 000 jobs pass through, against without"
FILLED = "bench_snapshot_filled"


def add_arguments(parser: ArgumentParser) -> None:
    """The scenario's options."""
    parser.add_argument("--jobs", type=int, default=500_000, help="jobs in batches of 100 (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=8, help="then one at a time for so long (default: %(default)s)"
    )
    parser.add_argument("--peer-jobs", type=int, default=100_000, help="jobs for graphile-worker; 0: leave it out")


@contextmanager
def held_snapshot(bench: Bench, name: str, table: str, held: bool) -> Iterator[None]:
    """Hold a snapshot open that has seen this table, if `held`."""
    if not held:
        yield
        return
    with bench.server.connect(name) as other:
        other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        # The snapshot is taken by the first statement.
        other.execute(f"SELECT FROM {table} LIMIT 1".encode())
        yield
        other.execute("ROLLBACK")


def run(bench: Bench, options: Namespace) -> dict[str, Any]:
    """Measure; `ratios` are with against without."""
    rows = []
    # More than pass through in batches, so that jobs are left for the single claims.
    with bench.server.database(FILLED, jobsite_server.TEMPLATE):
        bench.fill(FILLED, options.jobs + int(5000 * options.seconds))
        for held in (False, True):
            rows += _jobsite(bench, options, held)
    if options.peer_jobs:
        try:
            rows += [_graphile(bench, options, held) for held in (False, True)]
        except PeerFailed as error:
            bench.say(str(error))
    rates = {(row["name"], row["kind"], row["held"]): row["rate"] for row in rows}
    ratios = {
        kind: ratio(rates.get(("jobsite", kind, True)), rates.get(("jobsite", kind, False)))
        for kind in ("batch", "single")
    }
    return {"rows": rows, "ratios": ratios}


def _jobsite(bench: Bench, options: Namespace, held: bool) -> list[dict[str, Any]]:
    rows = []
    with (
        bench.server.database("bench_snapshot", FILLED) as name,
        held_snapshot(bench, name, "jobs_job", held),
        jobsite_server.site(bench.server, name) as site,
    ):
        batch = bench.drive(site, name, bots=8, limit=100, jobs=options.jobs)
        rows.append({"name": "jobsite", "kind": "batch", "held": held, **batch})
        single = bench.drive(site, name, bots=16, limit=1, seconds=options.seconds)
        rows.append({"name": "jobsite", "kind": "single", "held": held, **single})
    for row in rows:
        bench.say(f"jobsite, {row['kind']}, {_label(held)}: {figure(row['rate'])} jobs/s")
    return rows


def _graphile(bench: Bench, options: Namespace, held: bool) -> dict[str, Any]:
    peer: Peer = next(peer for peer in PEER_LIST if peer.name == "graphile-worker")
    setting, given = next(iter(peer.batch.items()))

    def around(name: str) -> Any:
        return held_snapshot(bench, name, "graphile_worker._private_jobs", held)

    seconds = measure(bench.server, peer, options.peer_jobs, given, around=around)
    speed = rate(options.peer_jobs, seconds)
    bench.say(f"{peer.name}, {setting}, {_label(held)}: {figure(speed)} jobs/s")
    return {"name": peer.name, "kind": setting, "held": held, "rate": speed, "jobs": options.peer_jobs}


def _label(held: bool) -> str:
    return "with a snapshot held open" if held else "without"


def tables(result: dict[str, Any]) -> list[Table]:
    """Tabulate with and without side by side, and the last quarter."""
    shown: dict[tuple[str, str], dict[bool, dict[str, Any]]] = {}
    for row in result["rows"]:
        shown.setdefault((row["name"], row["kind"]), {})[row["held"]] = row
    rows = []
    for (name, kind), both in shown.items():
        against = ratio(both.get(True, {}).get("rate"), both.get(False, {}).get("rate"))
        last = _last_quarter(both[True].get("by_second", [])) if True in both else None
        cells = [figure(both.get(held, {}).get("rate")) for held in (False, True)]
        jobs = f"{both[True]['jobs']:,}".replace(",", " ")
        rows.append([f"{name}, {kind}", jobs, *cells, figure(last), f"{against:.2f} ×" if against else "–"])
    columns = ["who", "jobs", "without", "with", "with, last quarter", "ratio"]
    return [Table("With a snapshot held open, jobs per second", columns, rows)]


def _last_quarter(by_second: list[int]) -> float | None:
    # The last second is not complete.
    complete = by_second[:-1]
    last = complete[-max(1, len(complete) // 4) :]
    return sum(last) / len(last) if last else None
