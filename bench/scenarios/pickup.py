"""Measure idle pickup: many bots wait with long polls, and jobs come one at a time."""

import asyncio
import time
from argparse import ArgumentParser, Namespace
from typing import Any
from urllib.request import urlopen

from bench import jobsite_server, waiting
from bench.contenders import Bench
from bench.figures import figure, percentile, size
from bench.jobsite_server import Site
from bench.tables import Table

#: How many bots have called.
_SEEN = "SELECT count(*) FROM bots_bot WHERE last_seen_at IS NOT NULL"
#: Seconds from the last one's call until the server is at rest.
SETTLED = 2
#: How often /readyz is asked while the bots wait.
PROBES = 100
ABOUT = "from the enqueueing of a job to its arrival at one of 1 000 waiting bots"


def add_arguments(parser: ArgumentParser) -> None:
    """The scenario's options."""
    parser.add_argument("--bots", type=int, default=1000, help="bots that wait (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=500, help="jobs, one at a time (default: %(default)s)")
    parser.add_argument("--pause", type=float, default=0.02, help="seconds between them (default: %(default)s)")
    parser.add_argument("--wait", type=float, default=30, help="how long a bot's call may wait (default: %(default)s)")


def run(bench: Bench, options: Namespace) -> dict[str, Any]:
    """Measure; latencies in seconds, CPU in cores, memory in bytes for each process."""
    tokens = bench.fleet.tokens[: options.bots]
    with (
        bench.server.database("bench_pickup", jobsite_server.TEMPLATE) as name,
        jobsite_server.site(bench.server, name) as site,
    ):
        before = site.memory()
        figures: dict[str, Any] = {}

        async def idle() -> None:
            """Measure memory, connections and CPU while all bots wait: not before each of them has called."""
            while bench.server.ask(name, _SEEN) < len(tokens):
                await asyncio.sleep(SETTLED)
            await asyncio.sleep(SETTLED)
            figures["memory"] = site.memory()
            figures["connections"] = bench.server.ask(
                name,
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            figures["idle_cpu"] = await _cores(bench, site, 5)
            figures["probes"] = _spread([await asyncio.to_thread(_probe, site.url) for _ in range(PROBES)])

        work = waiting.watch(
            site.port, tokens, bench.fleet.key,
            wait=options.wait, jobs=options.jobs, pause=options.pause, idle=idle,
        )  # fmt: skip
        arrivals = asyncio.run(work)
        after = site.memory()
    answered = [arrivals.arrived[job] - at for job, at in arrivals.taken.items() if job in arrivals.arrived]
    sent = [arrivals.arrived[job] - at for job, at in arrivals.sent.items() if job in arrivals.arrived]
    return {
        "bots": options.bots,
        "jobs": options.jobs,
        "arrived": len(arrivals.arrived),
        "early": arrivals.early,
        "turned_away": arrivals.turned_away,
        # A waiting bot may have the job before the producer has its answer: that counts as zero.
        "from_answer": _spread([max(0.0, value) for value in answered]),
        "from_sending": _spread(sent),
        "memory_before": before,
        "memory_after": after,
        **figures,
    }


def _probe(url: str) -> float:
    """Seconds until a new connection has its answer of /readyz."""
    began = time.monotonic()
    with urlopen(f"{url}/readyz") as answer:
        answer.read()
    return time.monotonic() - began


async def _cores(bench: Bench, site: Site, seconds: float) -> dict[str, float | None]:
    server, database = site.cpu(), bench.server.cpu()
    await asyncio.sleep(seconds)
    after = bench.server.cpu()
    return {
        "server": (site.cpu() - server) / seconds,
        "database": (after - database) / seconds if after is not None and database is not None else None,
    }


def _spread(values: list[float]) -> dict[str, float | None]:
    if not values:
        return {"p50": None, "p90": None, "p99": None, "max": None}
    return {"max": max(values), **{f"p{share}": percentile(values, share) for share in (50, 90, 99)}}


def tables(result: dict[str, Any]) -> list[Table]:
    """Tabulate the latencies, and the cost of waiting."""
    rows = [
        [label, *(_ms(result[key][share]) for share in ("p50", "p90", "p99", "max"))]
        for key, label in (("from_answer", "from the answer to the enqueueing"), ("from_sending", "from its sending"))
    ]
    rows.append(["/readyz while they wait", *(_ms(result["probes"][share]) for share in ("p50", "p90", "p99", "max"))])
    title = f"Idle pickup: {result['arrived']} of {result['jobs']} jobs at {result['bots']} waiting bots"
    notes = []
    if result["early"]:
        notes.append(f"{result['early']} calls were answered early, {result['turned_away']} of them with Retry-After.")
    latency = Table(title, ["until it is at a bot", "median", "90 %", "99 %", "most"], rows, notes)
    cost = Table(
        f"What {result['bots']} waiting bots cost",
        ["", "before", "waiting", "after"],
        [
            ["memory a process", *(_sizes(result[key]) for key in ("memory_before", "memory", "memory_after"))],
            ["cores, server", "", figure(result["idle_cpu"]["server"], 2), ""],
            ["cores, database", "", figure(result["idle_cpu"]["database"], 2), ""],
            ["database connections", "", str(result["connections"]), ""],
        ],
    )
    return [latency, cost]


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value * 1000:.1f} ms"


def _sizes(memory: list[int]) -> str:
    return ", ".join(size(count) for count in memory)
