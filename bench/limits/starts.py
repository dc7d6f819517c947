"""Many starts of a limited kind: at most so many in any window, and what an old snapshot costs."""

from datetime import timedelta
from typing import Any

from bench import jobsite_server
from bench.contenders import Bench
from bench.figures import ratio
from bench.jobsite_server import KIND
from bench.leases import LEASES, Lease, most_started
from bench.limits import filling
from bench.load import Wrong
from bench.scenarios.snapshot import held_snapshot

#: Starts of the kind and of each group in a period, and the groups. Together these may have more than the kind.
RATE, RATE_PER_GROUP, PERIOD, GROUPS = 1200, 300, timedelta(seconds=2), 6
#: Bots, and jobs that each asks for, where the rate bounds all.
BOTS, LIMIT = 8, 10
#: Seconds after which a run is stopped, and its jobs counted.
MOST_SECONDS = 240.0
#: Bots and sizes of claims beside a snapshot; together fewer than the kind's limit.
SNAPSHOT_BOTS, SNAPSHOT_LIMIT, MAX_HELD = 8, 100, 10_000


def leases(bench: Bench, name: str) -> list[Lease]:
    """Every lease there was, by the rows."""
    with bench.server.connect(name) as connection:
        return [Lease(*row) for row in connection.execute(LEASES.encode()).fetchall()]


def windows(bench: Bench, starts: int) -> dict[str, Any]:
    """Let bots take as many jobs as the rate allows, and slide a window over the starts."""
    with bench.server.database("bench_limits", jobsite_server.TEMPLATE) as name:
        seconds = int(PERIOD.total_seconds())
        limits = {"rate": RATE, "rate_per_group": RATE_PER_GROUP, "rate_period": f"{seconds} s"}
        filling.limit(bench.server, name, **limits)
        filling.jobs(bench.server, name, starts, group="g", groups=GROUPS)
        filling.gates(bench.server, name)
        with jobsite_server.site(bench.server, name) as site:
            done = bench.drive(site, name, bots=BOTS, limit=LIMIT, jobs=starts, seconds=MOST_SECONDS)
        found = leases(bench, name)
    groups = sorted({lease.group for lease in found})
    return {
        "starts": len(found), "seconds": done["seconds"], "rate": RATE, "rate_per_group": RATE_PER_GROUP,
        "period": seconds, "most": most_started(found, PERIOD), "used": len(found) / done["seconds"] / (RATE / seconds),
        "most_of_a_group": max(most_started((of for of in found if of.group == group), PERIOD) for group in groups),
    }  # fmt: skip


def beside_a_snapshot(bench: Bench, jobs: int) -> list[dict[str, Any]]:
    """Let jobs of a limited kind pass through in batches, without an old snapshot and with one."""
    rows: list[dict[str, Any]] = []
    for held in (False, True):
        with bench.server.database("bench_limits", jobsite_server.TEMPLATE) as name:
            filling.limit(bench.server, name, max_held=MAX_HELD)
            filling.jobs(bench.server, name, jobs)
            filling.gates(bench.server, name)
            with (
                held_snapshot(bench, name, "jobs_job", held),
                jobsite_server.site(bench.server, name) as site,
            ):
                done = bench.drive(
                    site, name, bots=SNAPSHOT_BOTS, limit=SNAPSHOT_LIMIT, jobs=jobs, seconds=MOST_SECONDS
                )
        if not done["jobs"]:
            raise Wrong(f"No job of {KIND} passed through.")
        rows.append({"held": held, **done})
    return [{**row, "ratio": ratio(row["rate"], rows[0]["rate"])} for row in rows]
