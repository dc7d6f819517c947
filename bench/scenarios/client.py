"""Measure bots of the client library: how many jobs a process with threads completes over HTTP."""

import os
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from typing import Any

import psutil

from bench import jobsite_server, programs
from bench.contenders import Bench
from bench.figures import figure, median, rate, spread
from bench.jobsite_server import Site
from bench.load import Wrong
from bench.places import LOGS, ROOT
from bench.tables import Table

ABOUT = "bots made with the client library, with and without jobs held ready"
#: `(processes, concurrency, prefetch, work)` of each setting.
SETTINGS = (
    (1, 1, 0, "nothing"),
    (1, 8, 0, "nothing"),
    (1, 8, 100, "nothing"),
    (2, 8, 100, "nothing"),
    (1, 8, 0, "sleep"),
    (1, 100, 0, "sleep async"),
)
#: Seconds without a completed job after which a setting has failed.
TIMEOUT = 60


def add_arguments(parser: ArgumentParser) -> None:
    """The scenario's options."""
    parser.add_argument("--jobs", type=int, default=20_000, help="jobs for each setting (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=2, help="rounds; the median counts (default: %(default)s)")


def run(bench: Bench, options: Namespace) -> dict[str, Any]:
    """Measure; rates in jobs a second, CPU in cores."""
    rows = []
    for setting in SETTINGS:
        # Without prefetched jobs it waits for the network or a sleep at each one: fewer jobs are enough.
        jobs = options.jobs if setting[2] else options.jobs // 4
        rounds = [_measure(bench, jobs, *setting) for _ in range(options.repeat)]
        rates = [r["rate"] for r in rounds]
        rows.append(
            {"setting": setting, "jobs": jobs, "rate": median(rates), "rates": rates, "cores": rounds[-1]["cores"]}
        )
        bench.say(f"{_label(*setting)}: {figure(rows[-1]['rate'])} jobs/s")
    return {"rows": rows}


def _measure(bench: Bench, jobs: int, processes: int, concurrency: int, prefetch: int, work: str) -> dict[str, float]:
    with bench.server.database("bench_client", jobsite_server.TEMPLATE) as name:
        bench.fill(name, jobs)
        with jobsite_server.site(bench.server, name) as site, (LOGS / "client.log").open("wb") as log:
            command = [sys.executable, "-m", "bench.client_bot", str(concurrency), str(prefetch), work]
            bots = [_start(site, command, token, log) for token in bench.fleet.tokens[:processes]]
            try:
                _wait_for(bench, name, jobs)
                used = sum(sum(psutil.Process(bot.pid).cpu_times()[:2]) for bot in bots)
            finally:
                for bot in bots:
                    programs.stop(bot)
        took = bench.server.ask(
            name, "SELECT extract(epoch FROM max(finished_at) - min(started_at))::float FROM jobs_job"
        )
    return {"rate": rate(jobs, took), "cores": used / took}


def _start(site: Site, command: list[str], token: str, log: Any) -> "subprocess.Popen[Any]":
    environ = os.environ | {"JOBSITE_URL": site.url, "JOBSITE_TOKEN": token}
    return programs.start(command, env=environ, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)


def _wait_for(bench: Bench, name: str, jobs: int) -> None:
    done, last = 0, time.monotonic()
    with bench.server.connect(name) as connection:
        while done < jobs:
            time.sleep(0.2)
            row = connection.execute("SELECT count(*) FROM jobs_job WHERE status = 'succeeded'").fetchone()
            if row and row[0] > done:
                done, last = row[0], time.monotonic()
            elif time.monotonic() - last > TIMEOUT:
                raise Wrong(f"The bots stopped at {done} of {jobs} jobs; see {LOGS / 'client.log'}.")


def _label(processes: int, concurrency: int, prefetch: int, work: str) -> str:
    count = "1 process" if processes == 1 else f"{processes} processes"
    slots = "1 thread" if concurrency == 1 else f"{concurrency} threads"
    slots = f"{concurrency} slots of asyncio" if work == "sleep async" else slots
    return f"{count}, {slots}, {prefetch or 'none'} held ready" + ("" if work == "nothing" else ", 20 ms of sleep")


def tables(result: dict[str, Any]) -> list[Table]:
    """Tabulate jobs per second by setting."""
    rows = [
        [_label(*row["setting"]), figure(row["rate"]), f"{spread(row['rates']):.0%}", figure(row["cores"], 2)]
        for row in result["rows"]
    ]
    notes = [
        "A job does nothing, or sleeps. The time runs from the first claim to the last end, as the database has them."
    ]
    return [
        Table("The client library, jobs per second", ["bots", "jobs/s", "spread", "cores of the bots"], rows, notes)
    ]
