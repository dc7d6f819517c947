"""Measure claim and complete, one at a time and in batches: every contender in turn, in several rounds."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import Any

from bench.contenders import Bench
from bench.figures import figure, median, spread
from bench.peers_run import PEER_LIST, Peer, PeerFailed
from bench.tables import Table

ABOUT = "claim and complete, one at a time and in batches, all contenders in turn"
#: Bots that call at once, by the size of their claims.
BOTS = {1: 16, 10: 8, 100: 8, 500: 4}


def add_arguments(parser: ArgumentParser) -> None:
    """The scenario's options."""
    parser.add_argument("--jobs", type=int, default=20_000, help="jobs one at a time (default: %(default)s)")
    parser.add_argument("--batch-jobs", type=int, default=100_000, help="jobs in batches (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=3, help="rounds; the median counts (default: %(default)s)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these: jobsite, psycopg, or peers by name")
    parser.add_argument("--all-settings", action="store_true", help="each peer at all its settings, not only its best")
    parser.add_argument("--limits", nargs="+", type=int, default=[1, 10, 100, 500], help="sizes of Jobsite's claims")
    parser.add_argument("--bots", type=int, help="bots that call at once (default: by the size of the claim)")
    parser.add_argument("--calls", action="store_true", help="Jobsite by single calls too: claim, then complete")


def run(bench: Bench, options: Namespace) -> dict[str, Any]:
    """Measure; `rows` with name, setting, kind (single | batch), the median rate and all rates."""
    plan = _plan(bench, options)
    measured: list[list[dict[str, Any]]] = [[] for _ in plan]
    failed: dict[int, str] = {}
    for round_ in range(options.repeat):
        for number, (row, measure) in enumerate(plan):
            label = f"{row['name']}, {row['setting']}"
            if number in failed:
                continue
            try:
                measured[number].append(measure())
            except PeerFailed as error:
                failed[number] = f"{label}, could not be measured: {str(error).splitlines()[0]}"
                bench.say(str(error))
                continue
            bench.say(f"{round_ + 1}/{options.repeat} {label}: {figure(measured[number][-1]['rate'])} jobs/s")
    return {
        "rows": [_middle(row, all_) for (row, _), all_ in zip(plan, measured, strict=True) if all_],
        "failed": list(failed.values()),
    }


def _middle(row: dict[str, Any], measured: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median rate, with the other figures of the round nearest to it."""
    rates = [r["rate"] for r in measured]
    middle = min(measured, key=lambda r: abs(r["rate"] - median(rates)))
    return {**row, **middle, "rate": median(rates), "rates": rates}


Step = tuple[dict[str, Any], Callable[[], dict[str, Any]]]


def _plan(bench: Bench, options: Namespace) -> list[Step]:
    def wanted(name: str) -> bool:
        return not options.only or name in options.only

    plan: list[Step] = []
    if wanted("jobsite"):
        plan += [_jobsite(bench, options, limit) for limit in options.limits]
    if wanted("jobsite") and options.calls:
        row = {"name": "jobsite", "setting": "two calls a job, 16 bots", "kind": "single"}
        plan.append((row, lambda: bench.jobsite(options.jobs // 10, bots=16, limit=1, script="calls")))
    if wanted("psycopg"):
        plan += [_psycopg(bench, options, limit) for limit in options.limits]
    for peer in PEER_LIST:
        if wanted(peer.name):
            plan += _peer(bench, options, peer)
    return plan


def _jobs(options: Namespace, limit: int) -> int:
    jobs: int = options.jobs if limit == 1 else options.batch_jobs
    return max(jobs // 2, options.jobs) if limit == 10 else jobs


def _kind(limit: int) -> str:
    return "single" if limit == 1 else "batch"


def _jobsite(bench: Bench, options: Namespace, limit: int) -> Step:
    bots = options.bots or BOTS.get(limit, 8)
    setting = f"exchange, limit {limit}, {bots} bots"
    row = {"name": "jobsite", "setting": setting, "kind": _kind(limit), "limit": limit, "bots": bots}
    return row, lambda: bench.jobsite(_jobs(options, limit), bots=bots, limit=limit)


def _psycopg(bench: Bench, options: Namespace, limit: int) -> Step:
    row = {"name": "psycopg", "setting": f"our statements, limit {limit}", "kind": _kind(limit), "limit": limit}
    return row, lambda: bench.ceiling(_jobs(options, limit), limit=limit)


def _peer(bench: Bench, options: Namespace, peer: Peer) -> list[Step]:
    plan: list[Step] = []
    for kind, settings in (("single", peer.single), ("batch", peer.batch)):
        chosen = list(settings.items()) if options.all_settings else list(settings.items())[:1]
        jobs = options.jobs if kind == "single" else options.batch_jobs
        for setting, given in chosen:
            row = {"name": peer.name, "setting": setting, "kind": kind}
            plan.append((row, lambda jobs=jobs, given=given: bench.peer(peer, jobs, given)))  # type: ignore[misc]
    return plan


def best(result: dict[str, Any], name: str, kind: str, limit: int | None = None) -> float | None:
    """Return the best rate of a contender, of one kind and perhaps one size of claim; None when not measured."""
    rates = [
        row["rate"]
        for row in result["rows"]
        if row["name"] == name and row["kind"] == kind and (limit is None or row.get("limit") == limit)
    ]
    return max(rates, default=None)


def tables(result: dict[str, Any]) -> list[Table]:
    """Tabulate single jobs and batches, the fastest first."""
    result_tables = []
    for kind, title in (("single", "One job at a time"), ("batch", "In batches")):
        rows = sorted((row for row in result["rows"] if row["kind"] == kind), key=lambda row: -row["rate"])
        if rows:
            columns = [
                "contender", "how", "jobs/s", "spread", "call p50", "call p99", "WAL a job",
                "CPU load / server / database",
            ]  # fmt: skip
            result_tables.append(
                Table(
                    f"{title}: claim and complete, jobs per second",
                    columns,
                    [_shown(row) for row in rows],
                    result["failed"],
                )
            )
    return result_tables


def _shown(row: dict[str, Any]) -> list[str]:
    cpu = row.get("cpu")
    return [
        row["name"],
        row["setting"],
        figure(row["rate"]),
        f"{spread(row['rates']):.0%}",
        f"{row['call_p50'] * 1000:.1f} ms" if row.get("call_p50") else "",
        f"{row['call_p99'] * 1000:.1f} ms" if row.get("call_p99") else "",
        f"{row['wal'] / 1000:.1f} kB" if row.get("wal") else "",
        " / ".join(figure(cpu[who], 2) for who in ("load", "server", "database")) if cpu else "",
    ]
