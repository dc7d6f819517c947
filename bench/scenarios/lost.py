"""Measure what a bot's calls take while every bot has lost jobs, against undisturbed: by turns, in one database."""

from argparse import ArgumentParser, Namespace
from typing import Any

from bench import jobsite_server, load
from bench.contenders import Bench
from bench.figures import median, percentile, ratio
from bench.jobsite_server import Site
from bench.tables import Table

ABOUT = "calls of bots that lose one job in 200 and are stuck all the time, against undisturbed"
BOTS = 16
#: A bot is stuck on a job after so long, and the job expires after three times that.
LIMIT = "2 seconds"
#: Seconds between two sweeps, and until the bots are stuck on jobs that they lost.
SWEEP_EVERY, SETTLED = 2, 7
#: More jobs than are done in a second.
JOBS_A_SECOND = 5000
_STUCK = "SELECT count(*) FROM bots_bot WHERE health_status <> 'normal'"


def add_arguments(parser: ArgumentParser) -> None:
    """The scenario's options."""
    parser.add_argument("--lose", type=int, default=200, help="one job in so many is lost (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=20, help="how long, each time (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=5, help="pairs (default: %(default)s)")


def run(bench: Bench, options: Namespace) -> dict[str, Any]:
    """Measure; `without` and `with` have a row for each pair, `p50` and `p99` the medians of their ratios.

    `stuck` is how many of the bots were not healthy at the end of each disturbed half.
    """
    result: dict[str, Any] = {"lose": options.lose, "seconds": options.seconds, "without": [], "with": [], "stuck": []}
    tokens = bench.fleet.tokens
    with bench.server.database("bench_lost", jobsite_server.TEMPLATE) as name:
        bench.server.run(name, f"UPDATE jobs_jobkind SET heartbeat_within = '{LIMIT}', start_within = '{LIMIT}'")
        bench.fill(name, int(JOBS_A_SECOND * 2 * options.repeat * (options.seconds + SETTLED)))
        with (
            jobsite_server.site(bench.server, name) as site,
            jobsite_server.sweeping(bench.server, name, SWEEP_EVERY),
        ):
            for _ in range(options.repeat):
                result["without"].append(_calls(site, tokens[:BOTS], options.seconds, 0))
                # With other bots, since these stay stuck for a while.
                result["with"].append(_calls(site, tokens[BOTS : 2 * BOTS], options.seconds, options.lose))
                result["stuck"].append(int(bench.server.ask(name, _STUCK)))
    pairs = list(zip(result["with"], result["without"], strict=True))
    return result | {key: median([ratio(row[key], base[key]) or 0 for row, base in pairs]) for key in ("p50", "p99")}


def _calls(site: Site, tokens: list[str], seconds: float, lose: int) -> dict[str, float]:
    done = load.drive(site.url, "exchange", tokens, limit=1, seconds=seconds + SETTLED, trace=True, lose=lose)
    took = [took for at, took in done.trace if at >= done.first + SETTLED]
    return {"calls": len(took), "p50": percentile(took, 50), "p99": percentile(took, 99), "max": max(took)}


def tables(result: dict[str, Any]) -> list[Table]:
    """Tabulate each half of each pair."""
    rows = []
    for number, (without, lost) in enumerate(zip(result["without"], result["with"], strict=True), 1):
        for label, row in (("undisturbed", without), (f"1 in {result['lose']} lost", lost)):
            times = (f"{row[share] * 1000:.1f} ms" for share in ("p50", "p99", "max"))
            rows.append([str(number), label, str(row["calls"]), *times])
    stuck = ", ".join(map(str, result["stuck"]))
    notes = [
        f"The median is {result['p50']:.2f} × and the 99th percentile {result['p99']:.2f} × what it is undisturbed.",
        f"Of the {BOTS} bots that lose jobs, so many were stuck at the end: {stuck}.",
    ]
    return [Table("Calls of 16 bots, one job at a time", ["pair", "", "calls", "median", "99 %", "most"], rows, notes)]
