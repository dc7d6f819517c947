"""Measure Jobsite, the ceiling or a peer once, all on the same server."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench import ceiling, jobsite_server, load, peers_run
from bench.database import Server
from bench.figures import rate, ratio
from bench.jobsite_server import Fleet, Site


@dataclass
class Bench:
    """What a scenario needs."""

    server: Server
    fleet: Fleet
    quick: bool = False

    def say(self, text: str) -> None:
        """Print a line of progress."""
        print(f"  {text}", file=sys.stderr, flush=True)

    def fill(self, name: str, jobs: int) -> None:
        """Insert pending jobs of one kind."""
        self.server.run(name, jobsite_server.FILL % jobs)
        self.server.settle(name)

    def drive(
        self,
        site: Site,
        name: str,
        *,
        bots: int,
        limit: int,
        script: str = "exchange",
        jobs: int | None = None,
        seconds: float | None = None,
    ) -> dict[str, Any]:
        """Run bots over HTTP until nothing is left, or they did `jobs`, or for `seconds`. Returns the figures.

        Wrong when the database does not agree with the bots' count.
        """
        count = "SELECT count(*) FROM jobs_job WHERE status = 'succeeded'"
        before = self.server.ask(name, count)
        began, cpu_site, cpu_database, wal = time.monotonic(), site.cpu(), self.server.cpu(), self.server.wal()
        done = load.drive(site.url, script, self.fleet.tokens[:bots], limit=limit, jobs=jobs, seconds=seconds)
        took, cpu_after = time.monotonic() - began, self.server.cpu()
        there = self.server.ask(name, count) - before
        # When the time is up, the answers to the last reports are not waited for.
        if not done.jobs <= there <= done.jobs + (0 if seconds is None else bots * limit):
            raise load.Wrong(f"The bots counted {done.jobs} jobs and the database {there}.")
        return {
            "rate": done.rate,
            "jobs": done.jobs,
            "seconds": done.time,
            "calls": done.calls,
            "unavailable": done.unavailable,
            "call_p50": done.latencies.get(50.0),
            "call_p99": done.latencies.get(99.0),
            "by_second": done.seconds,
            # In cores: 2.0 is both of two.
            "cpu": {
                "load": done.cpu / took,
                "server": (site.cpu() - cpu_site) / took,
                "database": (cpu_after - cpu_database) / took if cpu_after and cpu_database else None,
            },
            "memory": site.memory(),
            "wal": ratio(self.server.wal() - wal, there),
        }

    def jobsite(
        self,
        jobs: int,
        *,
        bots: int,
        limit: int,
        script: str = "exchange",
        prepare: Callable[[str], None] | None = None,
    ) -> dict[str, Any]:
        """Preload jobs, and let bots complete them over HTTP."""
        with self.server.database("bench_jobsite", jobsite_server.TEMPLATE) as name:
            self.fill(name, jobs)
            if prepare:
                prepare(name)
            with jobsite_server.site(self.server, name) as site:
                return self.drive(site, name, bots=bots, limit=limit, script=script)

    def ceiling(self, jobs: int, *, limit: int) -> dict[str, Any]:
        """Do the same from psycopg alone."""
        with self.server.database("bench_ceiling", jobsite_server.TEMPLATE) as name:
            self.fill(name, jobs)
            wal = self.server.wal()
            done = ceiling.drive(self.server, name, self.fleet.tokens, limit=limit)
            return {"rate": done, "jobs": jobs, "wal": (self.server.wal() - wal) / jobs}

    def peer(self, peer: peers_run.Peer, jobs: int, options: dict[str, Any]) -> dict[str, Any]:
        """Measure a peer with these options."""
        jobs, wal = max(1, int(jobs * peer.share)), list[int]()

        @contextmanager
        def watched(name: str) -> Iterator[None]:
            wal.append(self.server.wal())
            yield
            wal.append(self.server.wal())

        took = peers_run.measure(self.server, peer, jobs, options, around=watched)
        return {"rate": rate(jobs, took), "jobs": jobs, "wal": (wal[1] - wal[0]) / jobs}
