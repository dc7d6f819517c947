"""Measure schedules: many of them have their moment at the same time, and each becomes a job."""

import time
from argparse import ArgumentParser, Namespace
from typing import Any

from bench import jobsite_server
from bench.contenders import Bench
from bench.figures import percentile
from bench.tables import Table

ABOUT = "from the moment of 100 and of 1 000 schedules to their jobs, by the rows"
#: Seconds until their moment, and until the measurement is given up.
AHEAD, GIVE_UP_AFTER = 3, 120
MAKE = """
    INSERT INTO jobs_schedule (name, kind, payload, cron, next_at)
    SELECT 'schedule-' || n, 'report', '{{"of": "yesterday"}}', '0 0 1 1 *', now() + interval '{ahead} seconds'
    FROM generate_series(1, {count}) AS n
"""
DELAYS = "SELECT array_agg(EXTRACT(EPOCH FROM created_at - scheduled_for)::float) FROM jobs_job WHERE schedule <> ''"


def add_arguments(parser: ArgumentParser) -> None:
    """The scenario's options."""
    parser.add_argument(
        "--schedules", type=int, nargs="+", default=[100, 1000], help="how many at once (default: 100 1000)"
    )


def run(bench: Bench, options: Namespace) -> dict[str, Any]:
    """Measure the delays, in seconds, for each number of schedules."""
    return {"rows": [_measure(bench, count) for count in options.schedules]}


def _measure(bench: Bench, count: int) -> dict[str, Any]:
    with (
        bench.server.database("bench_schedules", jobsite_server.TEMPLATE) as name,
        jobsite_server.site(bench.server, name),
    ):
        bench.server.settle(name)
        bench.server.run(name, MAKE.format(count=count, ahead=AHEAD))
        until = time.monotonic() + AHEAD + GIVE_UP_AFTER
        while bench.server.ask(name, "SELECT count(*) FROM jobs_job WHERE schedule <> ''") < count:
            if time.monotonic() > until:
                break
            time.sleep(0.25)
        delays = bench.server.ask(name, DELAYS) or [float(GIVE_UP_AFTER)]
    shares = {f"p{share}": percentile(delays, share) for share in (50, 99)}
    return {"schedules": count, "jobs": len(delays), "max": max(delays), **shares}


def tables(result: dict[str, Any]) -> list[Table]:
    """Tabulate the delays."""
    rows = [
        [f"{row['schedules']}", f"{row['jobs']}", *(f"{row[share]:.3f} s" for share in ("p50", "p99", "max"))]
        for row in result["rows"]
    ]
    head = ["schedules at once", "jobs", "median", "99 %", "most"]
    return [Table("From the moment of a schedule to its job, with one web process", head, rows)]
