"""Measure claims in a large table: finished, pending and held rows, against a nearly empty one."""

from argparse import ArgumentParser, Namespace
from typing import Any

from bench import jobsite_server
from bench.contenders import Bench
from bench.figures import figure, ratio
from bench.filling import FINISHED, HELD, PENDING, insert_rows
from bench.tables import Table

ABOUT = "claims with 10 million finished rows, a million pending, 200 000 held"


def add_arguments(parser: ArgumentParser) -> None:
    """The scenario's options."""
    parser.add_argument("--finished", type=int, default=10_000_000, help="finished rows (default: %(default)s)")
    parser.add_argument("--pending", type=int, default=1_000_000, help="pending rows (default: %(default)s)")
    parser.add_argument("--held", type=int, default=200_000, help="held rows (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=20_000, help="jobs one at a time (default: %(default)s)")
    parser.add_argument("--batch-jobs", type=int, default=100_000, help="jobs in batches of 100 (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=2, help="rounds; the best counts (default: %(default)s)")


def run(bench: Bench, options: Namespace) -> dict[str, Any]:
    """Measure; `ratios` are each against the empty table, the worse of one at a time and in batches."""
    steps = [
        ("empty", "next to empty", []),
        ("finished tenth", f"{_count(options.finished // 10)} finished", [(FINISHED, options.finished // 10)]),
        ("finished", f"{_count(options.finished)} finished", [(FINISHED, options.finished)]),
        ("pending", f"{_count(options.pending)} pending", [(PENDING, options.pending)]),
        ("held", f"{_count(options.held)} held", [(HELD, options.held)]),
    ]
    rows = []
    for key, label, fills in steps:
        with bench.server.database("bench_size", jobsite_server.TEMPLATE) as name:
            for status, count in fills:
                insert_rows(bench.server, name, status, count)
            rows.append({"key": key, "label": label, **_measure(bench, options, name)})
        bench.say(f"{label}: {figure(rows[-1]['single'])} one at a time, {figure(rows[-1]['batch'])} in batches")
    ratios = {}
    for row in rows[1:]:
        against = [ratio(row[kind], rows[0][kind]) for kind in ("single", "batch")]
        ratios[row["key"]] = min((value for value in against if value is not None), default=None)
    return {"rows": rows, "ratios": ratios}


def _measure(bench: Bench, options: Namespace, name: str) -> dict[str, Any]:
    rates: dict[str, list[float]] = {"single": [], "batch": []}
    p99 = 0.0
    with jobsite_server.site(bench.server, name) as site:
        for _ in range(options.repeat):
            bench.fill(name, options.jobs + options.batch_jobs)
            single = bench.drive(site, name, bots=16, limit=1, jobs=options.jobs)
            rates["single"].append(single["rate"])
            p99 = single["call_p99"]
            batch = bench.drive(site, name, bots=8, limit=100, jobs=options.batch_jobs)
            rates["batch"].append(batch["rate"])
    return {kind: max(all_, default=None) for kind, all_ in rates.items()} | {"rates": rates, "call_p99": p99}


def _count(n: int) -> str:
    return f"{n:,}".replace(",", " ")


def tables(result: dict[str, Any]) -> list[Table]:
    """Tabulate a row for each size of the table."""
    empty = result["rows"][0]
    rows = []
    for row in result["rows"]:
        cells = [row["label"]]
        for kind in ("single", "batch"):
            against = ratio(row[kind], empty[kind])
            cells += [figure(row[kind]), f"{against:.2f} ×" if against else "–"]
        rows.append([*cells, f"{row['call_p99'] * 1000:.1f} ms"])
    columns = ["the table", "one at a time", "ratio", "batches of 100", "ratio", "call p99, one at a time"]
    return [Table("What a large table costs, jobs per second", columns, rows)]
