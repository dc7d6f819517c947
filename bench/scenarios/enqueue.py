"""Measure bulk enqueue: over HTTP as JSON and NDJSON, by `manage.py enqueue`, and each peer by its fastest call."""

import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import jobsite_server, peers_run, programs
from bench.contenders import Bench
from bench.figures import figure, median, rate, ratio, size, spread
from bench.load import Wrong
from bench.places import ROOT
from bench.tables import Table

ABOUT = "bulk enqueue over HTTP and from a file, against the peers; memory of the command"
#: The content type of each form of a bulk call.
FORMS = {"JSON": "application/json", "NDJSON": "application/x-ndjson"}


def add_arguments(parser: ArgumentParser) -> None:
    """The scenario's options."""
    parser.add_argument("--jobs", type=int, default=200_000, help="jobs for each contender (default: %(default)s)")
    parser.add_argument("--call", type=int, default=10_000, help="jobs in one JSON call (default: %(default)s)")
    parser.add_argument("--lines", nargs="+", type=int, default=[100_000, 1_000_000], help="lines of the files")
    parser.add_argument("--repeat", type=int, default=2, help="rounds; the median counts (default: %(default)s)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these: json, ndjson, file, or peers by name")


def body(form: str, jobs: int) -> bytes:
    """Make a bulk call's body with `jobs` small jobs."""
    lines = [json.dumps({"kind": jobsite_server.KIND, "payload": {"n": n}}) for n in range(jobs)]
    if form == "JSON":
        return ('{"jobs":[' + ",".join(lines) + "]}").encode()
    return ("\n".join(lines) + "\n").encode()


def run(bench: Bench, options: Namespace) -> dict[str, Any]:
    """Measure; `ratios` has our best against the best peer's."""
    rows, failed = [], []
    for row, measure in _plan(bench, options):
        try:
            rates = [measure() for _ in range(options.repeat)]
        except (peers_run.PeerFailed, Wrong) as error:
            failed.append(f"{row['name']}, {row['setting']}, could not be measured: {str(error).splitlines()[0]}")
            bench.say(str(error))
            continue
        rows.append({**row, "rate": median(rates), "rates": rates})
        bench.say(f"{row['name']}, {row['setting']}: {figure(rows[-1]['rate'])} jobs/s")
    files = []
    if _wanted(options, "file"):
        files = [_file(bench, lines) for lines in options.lines]
        for file in files:
            speed = f"{figure(file['rate'])} jobs/s, {size(file['memory'])}"
            bench.say(f"manage.py enqueue, {file['lines']} lines: {speed}")
            rows.append({"name": "jobsite", "setting": f"manage.py enqueue, {file['lines']:,} lines", **file})
    ours = max((row["rate"] for row in rows if row["name"] == "jobsite"), default=None)
    theirs = max((row["rate"] for row in rows if row["name"] != "jobsite"), default=None)
    return {"rows": rows, "failed": failed, "ratios": {"best peer": ratio(ours, theirs)}}


def _wanted(options: Namespace, name: str) -> bool:
    return not options.only or name in options.only


def _plan(bench: Bench, options: Namespace) -> Iterator[tuple[dict[str, Any], Any]]:
    for form in FORMS:
        if not _wanted(options, form.lower()):
            continue
        for producers in (1, 2):
            noun = "producer" if producers == 1 else "producers"
            row = {"name": "jobsite", "setting": f"POST /jobs/bulk, {form}, {producers} {noun}"}
            yield row, lambda form=form, producers=producers: _http(bench, options, form, producers)
    for peer in peers_run.PEER_LIST:
        if not _wanted(options, peer.name):
            continue
        for batch in peer.enqueue:
            jobs = int(options.jobs * min(1.0, 2 * peer.share))
            row = {"name": peer.name, "setting": f"{batch:,} a call"}
            yield (
                row,
                lambda peer=peer, jobs=jobs, batch=batch: rate(
                    jobs, peers_run.measure_enqueue(bench.server, peer, jobs, batch)
                ),
            )


@contextmanager
def _empty(bench: Bench) -> Iterator[str]:
    with bench.server.database("bench_enqueue", jobsite_server.TEMPLATE) as name:
        bench.server.settle(name)
        yield name


def _http(bench: Bench, options: Namespace, form: str, producers: int) -> float:
    """Send each producer's part over one connection; NDJSON in one call, which the server reads as a stream."""
    share = options.jobs // producers
    sizes = [share] if form == "NDJSON" else [options.call] * (share // options.call) or [share]
    bodies = [body(form, count) for count in sizes]
    failed: list[str] = []

    def produce(port: int, start: threading.Barrier) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        connection.connect()
        start.wait()
        for content in bodies:
            headers = {"Authorization": f"Bearer {bench.fleet.key}", "Content-Type": FORMS[form]}
            connection.request("POST", "/api/v1/jobs/bulk", content, headers)
            answer = connection.getresponse()
            reply = answer.read()
            if answer.status != 201:
                failed.append(f"{answer.status} {reply[:300]!r}")
                return

    with _empty(bench) as name, jobsite_server.site(bench.server, name) as site:
        start = threading.Barrier(producers + 1)
        threads = [threading.Thread(target=produce, args=(site.port, start)) for _ in range(producers)]
        for thread in threads:
            thread.start()
        start.wait()
        began = time.perf_counter()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - began
        if failed:
            raise Wrong(f"POST /jobs/bulk as {form}: {failed[0]}")
        count = bench.server.ask(name, "SELECT count(*) FROM jobs_job")
        if count != producers * sum(sizes):
            raise Wrong(f"{producers * sum(sizes)} jobs were sent and {count} are stored.")
    return rate(count, took)


def _file(bench: Bench, lines: int) -> dict[str, Any]:
    """Measure `manage.py enqueue FILE`, its start included, and its most memory."""
    with _empty(bench) as name, tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "jobs.ndjson"
        with path.open("wb") as out:
            for first in range(0, lines, 10_000):
                out.write(body("NDJSON", min(10_000, lines - first)))
        command = [sys.executable, "manage.py", "enqueue", str(path)]
        environ = jobsite_server.environment(bench.server.url(name))
        began = time.perf_counter()
        code, cpu, memory = programs.peak_memory(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL)
        took = time.perf_counter() - began
        count = bench.server.ask(name, "SELECT count(*) FROM jobs_job")
        if code or count != lines:
            raise Wrong(f"manage.py enqueue ended with {code}; {count} of {lines} jobs are stored.")
    return {"lines": lines, "rate": rate(lines, took), "seconds": took, "cpu_seconds": cpu, "memory": memory}


def tables(result: dict[str, Any]) -> list[Table]:
    """Tabulate the contenders, the fastest first."""
    rows = [
        [
            row["name"],
            row["setting"].replace(",000", " 000"),
            figure(row["rate"]),
            f"{spread(row['rates']):.0%}" if "rates" in row else "",
            size(row["memory"]) if "memory" in row else "",
        ]
        for row in sorted(result["rows"], key=lambda row: -row["rate"])
    ]
    return [
        Table(
            "Bulk enqueue, jobs per second",
            ["contender", "how", "jobs/s", "spread", "most memory"],
            rows,
            result["failed"],
        )
    ]
