"""Measure what limits cost those that have none, and those that have; and check by all leases that they held."""

from argparse import ArgumentParser, Namespace
from typing import Any

from bench.contenders import Bench
from bench.figures import figure, median
from bench.limits import claims, pairs, starts, storm
from bench.tables import Table

ABOUT = "what limits cost, in pairs and by the time of a claim; whether they held, by all leases"
PARTS = ("pairs", "groups", "full", "late", "windows", "snapshot", "storm")
#: What a quick run takes of the seconds.
QUICK = 0.1


def add_arguments(parser: ArgumentParser) -> None:
    """The scenario's options."""
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"only these of {', '.join(PARTS)}")
    parser.add_argument("--pairs", type=int, default=10, help="pairs of measurements (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=20_000, help="jobs one at a time (default: %(default)s)")
    parser.add_argument("--batch-jobs", type=int, default=100_000, help="jobs in batches (default: %(default)s)")
    parser.add_argument("--groups", type=int, default=10_000, help="groups, all but one full (default: %(default)s)")
    parser.add_argument("--full", type=int, default=100_000, help="jobs of a full group (default: %(default)s)")
    parser.add_argument("--late", type=int, default=100_000, help="jobs that are too late (default: %(default)s)")
    parser.add_argument("--claims", type=int, default=1000, help="claims for a percentile (default: %(default)s)")
    parser.add_argument("--starts", type=int, default=100_000, help="starts of a rate (default: %(default)s)")
    parser.add_argument("--snapshot-jobs", type=int, default=500_000, help="jobs past it (default: %(default)s)")
    parser.add_argument("--storm-claims", type=int, default=1_000_000, help="claims in it (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=1200, help="most of the storm (default: %(default)s)")


def run(bench: Bench, options: Namespace) -> dict[str, Any]:
    """Measure; `ratios` are with limits against without, `claims` in seconds."""
    wanted, result = options.only or PARTS, dict[str, Any]()
    if "pairs" in wanted:
        count = min(options.pairs, 2) if bench.quick else options.pairs
        result["pairs"] = [pairs.measure(bench, pair, count, options.jobs, options.batch_jobs) for pair in pairs.PAIRS]
    if "groups" in wanted:
        result["groups"] = claims.many_groups(bench, options.groups, options.claims)
    if "full" in wanted:
        result["full_group"] = claims.full_group(bench, options.full, options.claims)
    if "late" in wanted:
        result["late"] = claims.late_jobs(bench, options.late, options.claims)
    if "windows" in wanted:
        result["windows"] = starts.windows(bench, options.starts)
    if "snapshot" in wanted:
        result["snapshot"] = starts.beside_a_snapshot(bench, options.snapshot_jobs)
    if "storm" in wanted:
        seconds = options.seconds * (QUICK if bench.quick else 1)
        result["storm"] = storm.measure(bench, options.storm_claims, seconds)
    return result


def tables(result: dict[str, Any]) -> list[Table]:
    """A table for each part that was measured."""
    shown = []
    if "pairs" in result:
        shown.append(_pairs(result["pairs"]))
    if "groups" in result:
        rows = [[f"{row['asking']}, {row['when']}", *_times(row)] for row in result["groups"]]
        shown.append(Table("A claim with 10 000 groups of ten jobs, all but one full", _TIMES, rows))
    if "full_group" in result:
        rows = [[f"{row['asking']}, {row['jobs']} jobs", *_times(row)] for row in result["full_group"]]
        shown.append(Table("A claim beside a full group of the highest priority", _TIMES, rows))
    if "late" in result:
        rows = [[row["when"], *_times(row)] for row in result["late"]]
        shown.append(Table("A claim behind jobs past their start_by", ["", *_TIMES[1:]], rows))
    if "windows" in result:
        shown.append(_windows(result["windows"]))
    if "snapshot" in result:
        shown.append(_snapshot(result["snapshot"]))
    if "storm" in result:
        shown.append(_storm(result["storm"]))
    return shown


_TIMES = ["asking for", "median", "99 %", "most"]


def _times(row: dict[str, Any]) -> list[str]:
    return [f"{row[share] * 1000:.1f} ms" for share in ("p50", "p99", "max")]


def _pairs(rows: list[dict[str, Any]]) -> Table:
    cells = [
        [
            row["label"], figure(median(row["with"])), figure(median(row["without"])), f"{row['ratio']:.3f}",
            f"{row['interval'][0]:.3f} to {row['interval'][1]:.3f}", str(len(row["ratios"])),
        ]
        for row in rows
    ]  # fmt: skip
    columns = ["what", "jobs/s", "without, jobs/s", "median of the ratios", "95 % interval", "pairs"]
    return Table("What limits cost, against no limits and no gate", columns, cells)


def _windows(row: dict[str, Any]) -> Table:
    cells = [
        ["the kind", str(row["rate"]), str(row["most"])],
        ["a group", str(row["rate_per_group"]), str(row["most_of_a_group"])],
    ]
    note = f"{row['starts']} starts in {row['seconds']:.0f} s: {row['used']:.0%} of what the rate allows."
    return Table(f"Most starts in any window of {row['period']} s", ["of", "rate", "most"], cells, [note])


def _snapshot(rows: list[dict[str, Any]]) -> Table:
    cells = [
        [
            "with an old snapshot" if row["held"] else "without", f"{row['jobs']}", figure(row["rate"]),
            figure(_last_tenth(row["by_second"])), f"{row['ratio']:.2f} ×",
        ]
        for row in rows
    ]  # fmt: skip
    columns = ["a limited kind in batches of 100", "jobs", "jobs/s", "last tenth", "ratio"]
    return Table("Claims of a limited kind beside an old snapshot", columns, cells)


def _last_tenth(by_second: list[int]) -> float | None:
    complete = by_second[:-1]
    last = complete[-max(1, len(complete) // 10) :]
    return sum(last) / len(last) if last else None


def _storm(row: dict[str, Any]) -> Table:
    cells = [
        ["leases", str(row["leases"])], ["more than the limit", str(row["violations"])],
        ["deadlocks", str(row["deadlocks"])], ["changes of the limits", str(row["changes"])],
        ["failed", str(row["fail"])], ["released", str(row["release"])], ["expired", str(row["expire"])],
        ["web processes and sweeps killed", str(row["kills"])],
        ["calls", str(row["calls"])], ["not answered", str(row["unanswered"])],
        ["answered 503", str(row["unavailable"])],
    ]  # fmt: skip
    return Table(f"16 clients for {row['seconds']:.0f} s, by the rows of every lease", ["what", "how many"], cells)
