"""The sweep at size: how long it takes, what its batches cost, and what eight claimers notice of it.

    python -m bench.sweep_at_size [--due 20000] [--spread] [--silent "7 minutes"] [--history N] [--clients 8] [--json F]

Makes the situation in a database of its own on the server of `DATABASE_URL` (or the embedded one), and drops it.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import statistics
import sys
import time
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jobsite.settings")
os.environ.setdefault("DEBUG", "1")


def claimer(name: str, bot_id: int, work: float, ready: Any, stop: Any, out: Any) -> None:
    """One client: claim one job and complete it, again and again; says when each claim began and how long it took."""
    import django

    django.setup()
    from django.conf import settings
    from django.db import connection

    settings.DEBUG = False
    connection.settings_dict["NAME"] = name
    from bots.models import Bot
    from jobs import lifecycle
    from jobs.lifecycle import By, Report

    bot = Bot.objects.get(pk=bot_id)
    took: list[tuple[float, float]] = []
    connection.ensure_connection()
    ready.wait()
    while not stop.is_set():
        began = time.monotonic()
        jobs = lifecycle.claim(bot)
        took.append((began, time.monotonic() - began))
        time.sleep(work)
        if jobs:
            lifecycle.complete([Report(job.id, job.attempt, result=1) for job in jobs], by=By.bot(bot))
    out.put(took)


def p(share: float, values: list[float]) -> float:
    """The percentile, in milliseconds."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1000 if values else float("nan")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Fill, let the claimers run alone, then with the sweep beside them; the figures."""
    import django

    django.setup()
    from django.conf import settings
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from bench import situations
    from jobs.sweep import Swept, sweep

    settings.DEBUG = False
    settings.SWEEP_BATCH = args.batch or settings.SWEEP_BATCH
    name = connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    said: dict[str, Any] = vars(args).copy()
    try:
        with connection.cursor() as cursor:
            live = situations.sweep_at_size(
                cursor, bots=args.bots, jobs=args.jobs, due=args.due, spread=args.spread, silent=args.silent,
                waiting=args.waiting, history=args.history, stale=args.stale,
            )  # fmt: skip
            cursor.execute("CHECKPOINT")
        context = multiprocessing.get_context("spawn")
        ready, stop, out = context.Barrier(args.clients + 1), context.Event(), context.Queue()
        step = max(1, len(live) // max(1, args.clients))
        clients = [
            context.Process(target=claimer, args=(name, bot, args.work, ready, stop, out))
            for bot in live[::step][: args.clients]
        ]
        for client in clients:
            client.start()
        ready.wait()
        # The first second is theirs to warm up.
        time.sleep(args.alone + 1 if clients else 0)
        marks: list[float] = [time.monotonic()]
        if args.queries:
            with CaptureQueriesContext(connection) as queries:
                swept = sweep(each_batch=lambda s: marks.append(time.monotonic()))
            report_queries(queries.captured_queries)
        else:
            swept: Swept = sweep(each_batch=lambda s: marks.append(time.monotonic()))
        ended = time.monotonic()
        # A second time, with nothing due.
        sweep()
        idle = time.monotonic() - ended
        stop.set()
        took = [pair for _ in clients for pair in out.get()]
        for client in clients:
            client.join()
        alone = [t for at, t in took if marks[0] - args.alone <= at < marks[0]]
        beside = [t for at, t in took if marks[0] <= at < ended]
        batches = [(b - a) for a, b in itertools.pairwise(marks)]
        said |= {
            "swept": swept.counts(), "seconds": ended - marks[0], "idle_seconds": idle,
            "batches": len(batches), "batch_ms_median": statistics.median(batches) * 1000 if batches else None,
            "batch_ms_max": max(batches, default=0) * 1000, "after_batches_ms": (ended - marks[-1]) * 1000,
            "claims_alone": len(alone), "claims_beside": len(beside),
            "claims_per_second_alone": len(alone) / args.alone,
            "claims_per_second_beside": len(beside) / (ended - marks[0]),
            "p50_alone_ms": p(0.5, alone), "p99_alone_ms": p(0.99, alone), "max_alone_ms": p(1, alone),
            "p50_beside_ms": p(0.5, beside), "p99_beside_ms": p(0.99, beside), "max_beside_ms": p(1, beside),
            "p99_ratio": p(0.99, beside) / p(0.99, alone) if alone and beside else None,
        }  # fmt: skip
    finally:
        connection.creation.destroy_test_db(settings.DATABASES["default"]["NAME"], verbosity=0)
    return said


def report_queries(queries: list[dict[str, str]]) -> None:
    """Where the time went: one line for each shape of statement."""
    shapes: dict[str, list[float]] = {}
    for query in queries:
        shape = " ".join(query["sql"].split())
        shape = shape[:70] if not shape.startswith("--") else shape[:30]
        shapes.setdefault(shape, []).append(float(query["time"]))
    for shape, times in sorted(shapes.items(), key=lambda item: -sum(item[1])):
        print(f"{sum(times):8.3f} s {len(times):6d} × {shape}", file=sys.stderr)


def main() -> None:
    """The command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bots", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--due", type=int, default=20_000)
    parser.add_argument("--spread", action="store_true", help="every bot has a share of what is due")
    parser.add_argument("--silent", default="7 minutes", help="how long the due leases have been silent")
    parser.add_argument("--waiting", type=int, default=100_000, help="pending jobs, for the claimers")
    parser.add_argument("--history", type=int, default=0, help="finished jobs in the table")
    parser.add_argument("--stale", action="store_true", help="statistics from before anything was held")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--work", type=float, default=0, help="seconds a claimer works on each job")
    parser.add_argument("--batch", type=int, help="SWEEP_BATCH")
    parser.add_argument("--alone", type=float, default=5, help="seconds the claimers run alone first")
    parser.add_argument("--queries", action="store_true", help="show where the sweep's time goes, by statement")
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    said = measure(parser.parse_args())
    for name, value in said.items():
        print(f"{name:26} {value:.3f}" if isinstance(value, float) else f"{name:26} {value}")
    if said["json"]:
        with open(said["json"], "w") as out:
            json.dump(said, out, indent=2)


if __name__ == "__main__":
    main()
