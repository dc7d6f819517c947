"""Measure a large sweep: 100 000 held jobs of 10 000 bots, 20 000 of them due, while eight bots claim."""

import json
import subprocess
import sys
import threading
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

from bench import jobsite_server, load, programs
from bench.contenders import Bench
from bench.figures import figure, percentile, ratio
from bench.filling import FINISHED, due, insert_rows
from bench.places import LOGS, ROOT
from bench.tables import Table

ABOUT = "100 000 held jobs, 20 000 of them due, beside 8 claiming bots; and with nothing due"
CLAIMERS = 8


def add_arguments(parser: ArgumentParser) -> None:
    """The scenario's options."""
    parser.add_argument("--held", type=int, default=100_000, help="held jobs (default: %(default)s)")
    parser.add_argument("--holders", type=int, default=10_000, help="bots that hold them (default: %(default)s)")
    parser.add_argument("--due", type=int, default=20_000, help="of them due: of bots that died (default: %(default)s)")
    parser.add_argument("--finished", type=int, default=1_000_000, help="finished rows beside (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=5, help="claims without the sweep (default: %(default)s)")


@contextmanager
def _sweeper(environ: dict[str, str]) -> Iterator[Any]:
    """Yield a function that sweeps in a process that runs already, and returns times and counts."""
    with (LOGS / "sweep.log").open("wb") as log:
        process = programs.start(
            [sys.executable, "-m", "bench.sweep_beside"],
            env=environ, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
        try:
            orders, answers = cast(IO[str], process.stdin), cast(IO[str], process.stdout)
            answers.readline()

            def sweep() -> dict[str, Any]:
                orders.write("\n")
                orders.flush()
                return dict(json.loads(answers.readline()))

            yield sweep
        finally:
            programs.stop(process)


def run(bench: Bench, options: Namespace) -> dict[str, Any]:
    """Measure; times in seconds, latencies of claims in seconds."""
    with bench.server.database("bench_sweep", jobsite_server.TEMPLATE) as name:
        insert_rows(bench.server, name, FINISHED, options.finished)
        with _sweeper(jobsite_server.environment(bench.server.url(name))) as sweep:
            # What ended in thirty days is added up once. A sweep of every day adds up a minute.
            caught_up = sweep()
            due(bench.server, name, options.held, options.holders, options.due)
            bench.fill(name, int(20_000 * (2 * options.seconds + 10)))
            with jobsite_server.site(bench.server, name) as site:
                trace, swept = _sweep_under_load(bench, options, site.url, sweep)
                nothing = [sweep() for _ in range(4)]
    took = swept["end"] - swept["start"]
    return {
        "held": options.held,
        "due": options.due,
        "finished": options.finished,
        "seconds": took,
        "counts": swept["counts"],
        "caught_up": caught_up["end"] - caught_up["start"],
        "nothing_due": min(s["end"] - s["start"] for s in nothing),
        "without": _latencies(trace, 0, swept["start"]),
        "with": _latencies(trace, swept["start"], swept["end"]),
    }


Trace = list[tuple[float, float]]


def _sweep_under_load(bench: Bench, options: Namespace, url: str, sweep: Any) -> tuple[Trace, dict[str, Any]]:
    """Run claiming bots, begin the sweep beside them after a while, and stop them a second after its end."""
    swept: dict[str, Any] = {}
    ended = threading.Event()

    def later() -> None:
        time.sleep(options.seconds)
        swept.update(sweep())
        time.sleep(1)
        ended.set()

    thread = threading.Thread(target=later, daemon=True)
    thread.start()
    done = load.drive(
        url, "exchange", bench.fleet.tokens[:CLAIMERS], limit=1, seconds=options.seconds + 120, trace=True, until=ended
    )
    thread.join()
    return done.trace, swept


def _latencies(trace: Trace, start: float, end: float) -> dict[str, Any]:
    # Count each call that was in progress at any time between the two.
    took = [seconds for at, seconds in trace if at < end and at + seconds > start]
    if not took:
        return {"calls": 0, "p50": None, "p99": None, "max": None}
    return {"calls": len(took), "p50": percentile(took, 50), "p99": percentile(took, 99), "max": max(took)}


def tables(result: dict[str, Any]) -> list[Table]:
    """Tabulate the sweep's time, and the latency of claims."""
    counts = result["counts"]
    first = Table(
        f"A sweep over {result['held']:,} held jobs, {result['finished']:,} finished beside them".replace(",", " "),
        ["", "seconds", "checked", "expired"],
        [
            [
                f"{result['due']:,} due".replace(",", " "),
                figure(result["seconds"]),
                str(counts["checked"]),
                str(counts["expired"]),
            ],
            ["nothing due", figure(result["nothing_due"]), "0", "0"],
            # Results of before have none.
            *(
                [["the first, which adds them up", figure(result["caught_up"]), "0", "0"]]
                if "caught_up" in result
                else []
            ),
        ],
    )
    rows = [
        [label, str(result[key]["calls"]), *(_ms(result[key][share]) for share in ("p50", "p99", "max"))]
        for key, label in (("without", "before it"), ("with", "during it"))
    ]
    against = ratio(result["with"]["p99"], result["without"]["p99"])
    notes = [f"The 99th percentile is {against:.2f} × what it was."] if against else []
    claims = Table("Calls of 8 bots that claim one at a time", ["", "calls", "median", "99 %", "most"], rows, notes)
    return [first, claims]


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value * 1000:.1f} ms"
