"""How long a claim takes where most of what there is may not go: one bot, one call after the other, over HTTP."""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench import jobsite_server
from bench.contenders import Bench
from bench.figures import percentile
from bench.limits import filling
from bench.load import Wrong

#: The limited kind, and jobs of another one, which are older than none of it.
GROUPED, PLAIN_JOBS = "grouped", 1000
#: Jobs of each group that may have one at once.
EACH = 10
#: A claim of any kind, and of one.
ASKING: dict[str, list[str] | None] = {"any kind": None, "one kind": [GROUPED]}

#: Jobs that had to be begun an hour ago, in front of all others.
_LATE = """
    INSERT INTO jobs_job (kind_id, payload, priority, start_by)
    SELECT 'noop', '{{}}', 9, now() - interval '1 hour' FROM generate_series(1, {})
"""
#: Seconds.
GIVE_UP_AFTER = 300

Lease = dict[str, int]


class Bot:
    """A bot on one connection."""

    def __init__(self, port: int, token: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def exchange(self, **body: Any) -> list[Lease]:
        """Make a call. Returns the leases that it brings."""
        self.connection.request("POST", "/api/v1/exchange", json.dumps(body), self.headers)
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise Wrong(f"A bot was answered {answer.status}: {content[:300]!r}")
        return [{"id": job["id"], "attempt": job["attempt"]} for job in json.loads(content)["jobs"]]

    def claim(self, kinds: list[str] | None, limit: int = 1) -> list[Lease]:
        """Claim jobs."""
        return self.exchange(claim={"limit": limit} | ({} if kinds is None else {"kinds": kinds}))


@contextmanager
def _site(bench: Bench, name: str) -> Iterator[tuple[Bot, Bot]]:
    """A server, a bot that holds what fills the limits, and the one that is measured."""
    with jobsite_server.site(bench.server, name) as site:
        yield Bot(site.port, bench.fleet.tokens[0]), Bot(site.port, bench.fleet.tokens[1])


def _take_all(bot: Bot) -> list[Lease]:
    """Claim what the limits allow."""
    held = []
    while some := bot.claim([GROUPED], 1000):
        held += some
    return held


def _times(bot: Bot, kinds: list[str] | None, count: int) -> list[float]:
    """Claim so many times, and hand each back before the next. Returns the seconds of each claim."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        leases = bot.claim(kinds)
        times.append(time.perf_counter() - began)
        if len(leases) != 1:
            raise Wrong(f"A claim brought {len(leases)} jobs, where there was one that might go.")
        bot.exchange(released=leases)
    return times


def spread(times: list[float]) -> dict[str, float]:
    """The percentiles that count, and the longest."""
    return {"p50": percentile(times, 50), "p99": percentile(times, 99), "max": max(times)}


def many_groups(bench: Bench, groups: int, claims: int) -> list[dict[str, Any]]:
    """Many groups of ten jobs, all but one full: first right after they became so, then after a while."""
    with bench.server.database("bench_limits", jobsite_server.TEMPLATE) as name:
        filling.limit(bench.server, name, GROUPED, max_held_per_group=1)
        filling.jobs(bench.server, name, EACH * groups, GROUPED, group="g", groups=groups)
        filling.gates(bench.server, name)
        bench.fill(name, PLAIN_JOBS)
        rows = []
        with _site(bench, name) as (holder, bot):
            held = _take_all(holder)
            if len(held) != groups:
                raise Wrong(f"{len(held)} of {groups} groups became full.")
            holder.exchange(completed=[held[groups // 2]])
            for when in ("at once", "later"):
                for asking, kinds in ASKING.items():
                    rows.append({"when": when, "asking": asking, **spread(_times(bot, kinds, claims))})
    return rows


def late_jobs(bench: Bench, late: int, claims: int) -> list[dict[str, Any]]:
    """So many jobs in front of all others that nobody may begin any more: at once, and when they have been dropped."""
    with bench.server.database("bench_limits", jobsite_server.TEMPLATE) as name:
        bench.fill(name, PLAIN_JOBS)
        bench.server.run(name, _LATE.format(late))
        bench.server.settle(name)
        with _site(bench, name) as (_, bot):
            rows = [{"when": "at once", **spread(_times(bot, None, claims))}]
            began = time.monotonic()
            while bench.server.ask(name, "SELECT true FROM jobs_job WHERE status = 'pending' AND priority = 9 LIMIT 1"):
                if time.monotonic() - began > GIVE_UP_AFTER:
                    raise Wrong(f"Late jobs were not dropped within {GIVE_UP_AFTER} s.")
                time.sleep(0.5)
            rows.append({"when": f"{time.monotonic() - began:.0f} s later", **spread(_times(bot, None, claims))})
    return rows


def full_group(bench: Bench, jobs: int, claims: int) -> list[dict[str, Any]]:
    """A full group with so many jobs of the highest priority, against without them."""
    rows = []
    for behind in (0, jobs):
        with bench.server.database("bench_limits", jobsite_server.TEMPLATE) as name:
            filling.limit(bench.server, name, GROUPED, max_held_per_group=1)
            if behind:
                filling.jobs(bench.server, name, behind, GROUPED, group="full", priority=9)
            filling.jobs(bench.server, name, 1 + EACH, GROUPED, group="other")
            filling.gates(bench.server, name)
            bench.fill(name, PLAIN_JOBS)
            with _site(bench, name) as (holder, bot):
                held = _take_all(holder)
                # The other group has one place, and the full one has none.
                other = bench.server.ask(name, "SELECT max(id) FROM jobs_job WHERE claimed_by_id IS NOT NULL")
                holder.exchange(completed=[lease for lease in held if lease["id"] == other])
                for asking, kinds in ASKING.items():
                    rows.append({"jobs": behind, "asking": asking, **spread(_times(bot, kinds, claims))})
    return rows
