"""Measure how the cost grows with the number of bots and the size of batches; and the memory of server processes."""

from argparse import ArgumentParser, Namespace
from typing import Any

from bench import jobsite_server
from bench.contenders import Bench
from bench.figures import figure, size
from bench.tables import Table

ABOUT = "cost against the number of bots and the size of batches; memory per process"


def add_arguments(parser: ArgumentParser) -> None:
    """The scenario's options."""
    parser.add_argument("--bots", nargs="+", type=int, default=[1, 2, 4, 8, 16, 32, 64], help="how many bots at once")
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000])
    parser.add_argument("--seconds", type=float, default=3, help="for each (default: %(default)s)")


def run(bench: Bench, options: Namespace) -> dict[str, Any]:
    """Measure; `bots` and `batches` are rows, `memory` is by moment."""
    with (
        bench.server.database("bench_growth", jobsite_server.TEMPLATE) as name,
        jobsite_server.site(bench.server, name) as site,
    ):
        memory = {"after the start": site.memory()}
        bots = []
        for count in options.bots:
            bots.append({"bots": count, **_for(bench, options, name, site, count, 1)})
            bench.say(f"{count} bots, one at a time: {figure(bots[-1]['rate'])} jobs/s")
        memory["after single jobs"] = site.memory()
        batches = []
        for limit in options.batches:
            batches.append({"limit": limit, **_for(bench, options, name, site, 8, limit)})
            bench.say(f"batches of {limit}: {figure(batches[-1]['rate'])} jobs/s")
        memory["after batches"] = site.memory()
    return {"bots": bots, "batches": batches, "memory": memory}


def _for(bench: Bench, options: Namespace, name: str, site: Any, bots: int, limit: int) -> dict[str, Any]:
    # More than can be done in the time, so that no bot finds the queue empty.
    needed = int(options.seconds * min(100_000, 6000 * limit))
    pending = bench.server.ask(name, "SELECT count(*) FROM jobs_job WHERE status = 'pending'")
    bench.fill(name, max(1, needed - pending))
    return bench.drive(site, name, bots=bots, limit=limit, seconds=options.seconds)


def tables(result: dict[str, Any]) -> list[Table]:
    """Tabulate bots, batches and memory."""
    made = []
    for key, column, title in (
        ("bots", "bots", "One job at a time, by the number of bots that call at once"),
        ("batches", "limit", "Batches, by their size (8 bots)"),
    ):
        rows = [
            [
                str(row["bots" if key == "bots" else "limit"]),
                figure(row["rate"]),
                f"{row['call_p50'] * 1000:.1f} ms",
                f"{row['call_p99'] * 1000:.1f} ms",
                " / ".join(figure(row["cpu"][who], 2) for who in ("load", "server", "database")),
            ]
            for row in result[key]
        ]
        columns = [column, "jobs/s", "call p50", "call p99", "CPU load / server / database"]
        if rows:
            made.append(Table(title, columns, rows))
    memory = [[moment, ", ".join(map(size, sizes))] for moment, sizes in result["memory"].items()]
    made.append(Table("Memory of each server process", ["when", "each process"], memory))
    return made
