"""Measure every page and list call beside ten million finished jobs of a thousand kinds and ten thousand bots."""

import json
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from typing import Any

from bench import console_setup, jobsite_server
from bench.contenders import Bench
from bench.figures import median
from bench.places import ROOT
from bench.tables import Table

ABOUT = "every page and list call at 10 million jobs, 1 000 kinds and 10 000 bots, 5 000 of them stuck"


def add_arguments(parser: ArgumentParser) -> None:
    """The scenario's options."""
    parser.add_argument("--finished", type=int, default=10_000_000, help="finished jobs (default: %(default)s)")
    parser.add_argument("--kinds", type=int, default=1000, help="kinds (default: %(default)s)")
    parser.add_argument("--bots", type=int, default=10_000, help="bots, half of them stuck (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=20, help="calls of each (default: %(default)s)")


def run(bench: Bench, options: Namespace) -> dict[str, Any]:
    """Measure; `pages` are the seconds and queries of each call, by name, and `slowest` the greatest median.

    `queries` are the most that one of them asks, and `filled` is how many seconds it took to write the rows.
    """
    with bench.server.database("bench_console", jobsite_server.TEMPLATE) as name:
        began = time.monotonic()
        console_setup.fill(
            bench.server, name, finished=options.finished, kinds=options.kinds, bots=options.bots
        )  # fmt: skip
        filled = time.monotonic() - began
        bench.say(f"filled in {filled:.0f} s")
        done = subprocess.run(
            [sys.executable, "-m", "bench.console_calls", str(options.repeat)],
            env=jobsite_server.environment(bench.server.url(name)), cwd=ROOT, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"The pages could not be measured:\n{done.stderr[-3000:]}")
    pages = json.loads(done.stdout.splitlines()[-1])
    return {
        "pages": pages,
        "slowest": max(median(page["seconds"]) for page in pages.values()),
        "queries": max(page["queries"] for page in pages.values()),
        "filled": filled,
    }


def tables(result: dict[str, Any]) -> list[Table]:
    """Tabulate the pages, the slowest first."""
    ranked = sorted(result["pages"].items(), key=lambda page: -median(page[1]["seconds"]))
    rows = [
        [
            name,
            f"{median(page['seconds']) * 1000:.0f} ms",
            f"{max(page['seconds']) * 1000:.0f} ms",
            str(page["queries"]),
        ]
        for name, page in ranked
    ]
    notes = [f"The rows were written in {result['filled']:.0f} s."] if "filled" in result else []
    return [Table("Pages and list calls", ["", "median", "most", "queries"], rows, notes)]
