"""Measure throughput while all connections to the database are ended every few seconds, and without that.

Each bot sends a turn again that was answered with 503. Any other error makes the measurement invalid.
"""

import threading
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench import jobsite_server
from bench.contenders import Bench
from bench.figures import figure, ratio
from bench.tables import Table

ABOUT = "all connections to the database ended every 2 seconds for a minute, against undisturbed"
#: What a quick run takes of the time.
QUICK = 0.1
#: More jobs than are done in a second.
JOBS_A_SECOND = 5000
_END_ALL = """
    SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def add_arguments(parser: ArgumentParser) -> None:
    """The scenario's options."""
    parser.add_argument("--bots", type=int, default=16, help="bots, one job at a time (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60, help="how long, each way (default: %(default)s)")
    parser.add_argument("--every", type=float, default=2, help="seconds between two ends (default: %(default)s)")


@contextmanager
def _ending(bench: Bench, name: str, every: float) -> Iterator[list[int]]:
    """End all connections to this database every so often. Yields how many each time."""
    over, ended = threading.Event(), list[int]()

    def end() -> None:
        while not over.wait(every):
            ended.append(bench.server.ask(name, _END_ALL))

    thread = threading.Thread(target=end, daemon=True)
    thread.start()
    try:
        yield ended
    finally:
        over.set()
        thread.join()


def run(bench: Bench, options: Namespace) -> dict[str, Any]:
    """Measure; `ratio` is with against without."""
    seconds = options.seconds * (QUICK if bench.quick else 1)
    without = _measure(bench, options.bots, seconds, None)
    ended = _measure(bench, options.bots, seconds, options.every)
    return {
        "seconds": seconds,
        "every": options.every,
        "without": without,
        "with": ended,
        "ratio": ratio(ended["rate"], without["rate"]),
    }


def _measure(bench: Bench, bots: int, seconds: float, every: float | None) -> dict[str, Any]:
    with bench.server.database("bench_terminated", jobsite_server.TEMPLATE) as name:
        bench.fill(name, int(JOBS_A_SECOND * seconds))
        with jobsite_server.site(bench.server, name) as site:
            if every is None:
                done = bench.drive(site, name, bots=bots, limit=1, script="again", seconds=seconds)
                return done | {"ended": []}
            with _ending(bench, name, every) as ended:
                done = bench.drive(site, name, bots=bots, limit=1, script="again", seconds=seconds)
            return done | {"ended": ended}


def tables(result: dict[str, Any]) -> list[Table]:
    """Tabulate both, with the number of 503."""
    rows = [
        [
            label,
            str(len(result[key]["ended"])),
            figure(result[key]["rate"]),
            str(result[key]["calls"]),
            str(result[key]["unavailable"]),
        ]
        for key, label in (("without", "undisturbed"), ("with", f"ended every {result['every']:g} s"))
    ]
    notes = [f"With them ended it is {result['ratio']:.2f} × what it is undisturbed, and there is no error but 503."]
    title = f"All connections to the database ended, for {result['seconds']:g} s"
    return [Table(title, ["", "times", "jobs/s", "calls", "answered 503"], rows, notes)]
