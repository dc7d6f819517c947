"""Whether limits hold while they change, by the rows of all leases: 16 clients, kills, releases, expiries, sweeps."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bench import jobsite_server, programs
from bench.contenders import Bench
from bench.jobsite_server import Site
from bench.leases import Lease, Limit, too_many_held
from bench.limits import filling
from bench.limits.starts import leases
from bench.load import Wrong
from bench.places import ROOT
from bench.waiting import Caller

CLIENTS, GROUPS = 16, 8
#: Two ask in opposite orders, the third for any.
ASKING: tuple[list[str] | None, ...] = (["few", "grouped"], ["grouped", "few"], None)
#: How leases end, with weights: a few are left, and expire.
ENDS, WEIGHTS = ("completed", "failed", "released", ""), (850, 70, 77, 3)
#: Seconds between two kills: of a web process, and of the sweep.
KILL_EVERY = 15.0
#: Nobody is put in quarantine for the leases that are left, and none is long the job of another first.
ENVIRONMENT = {"QUARANTINE_EXPIRIES": "1000000"}
_KIND: dict[str, Any] = {"heartbeat_within": "0.5 s", "backoff": "0 s", "max_attempts": 999}


@dataclass
class Tally:
    """What the clients counted."""

    claims: int = 0
    calls: int = 0
    unanswered: int = 0
    unavailable: int = 0
    kills: int = 0
    faults: list[str] = field(default_factory=list)


def measure(bench: Bench, claims: int, seconds: float) -> dict[str, Any]:
    """Let the clients make so many claims, or for so long, and compare each lease with the limits."""
    with bench.server.database("bench_limits", jobsite_server.TEMPLATE) as name:
        filling.limit(bench.server, name, "few", max_held=32, **_KIND)
        filling.limit(bench.server, name, "grouped", max_held_per_group=6, **_KIND)
        filling.jobs(bench.server, name, claims // 2, "few")
        filling.jobs(bench.server, name, claims // 2, "grouped", group="g", groups=GROUPS)
        filling.gates(bench.server, name)
        tally = Tally()
        with (
            jobsite_server.site(bench.server, name, environ=ENVIRONMENT, workers=2) as site,
            _disturbed(bench, name) as lines,
        ):
            began = time.monotonic()
            asyncio.run(_clients(bench, name, site, tally, claims, began + seconds))
            took = time.monotonic() - began
        found = leases(bench, name)
        deadlocks = bench.server.ask(name, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        verbs = {
            verb: bench.server.ask(name, "SELECT count(*) FROM jobs_jobevent WHERE verb = %s", [verb])
            for verb in ("fail", "release", "expire")
        }
    if tally.faults:
        raise Wrong(f"A client met {tally.faults[0]}")
    few, grouped = _limits(lines, "few"), _limits(lines, "grouped")
    violations = too_many_held((of for of in found if of.kind == "few"), few, _by_kind)
    violations += too_many_held((of for of in found if of.kind == "grouped"), grouped, _by_group)
    return {
        "leases": len(found), "claims": tally.claims, "seconds": took, "calls": tally.calls, "changes": len(few),
        "unanswered": tally.unanswered, "unavailable": tally.unavailable, "kills": tally.kills, **verbs,
        "violations": len(violations), "deadlocks": deadlocks,
        "first": [str(one) for one in violations[:5]],
    }  # fmt: skip


def _by_kind(lease: Lease) -> str:
    return lease.kind


def _by_group(lease: Lease) -> str:
    return lease.group


def _limits(lines: list[str], kind: str) -> list[Limit]:
    rows = [json.loads(line) for line in lines]
    return [Limit(datetime.fromisoformat(a), datetime.fromisoformat(b), n) for of, a, b, n in rows if of == kind]


@contextmanager
def _disturbed(bench: Bench, name: str) -> Iterator[list[str]]:
    """Disturb all, in a program of its own. Yields the lines that it prints."""
    lines: list[str] = []
    process = programs.start(
        [sys.executable, "-m", "bench.limits.disturbing"], cwd=ROOT, text=True,
        env=jobsite_server.environment(bench.server.url(name)) | ENVIRONMENT,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    output, until = process.stdout, process.stdin
    assert output is not None
    assert until is not None
    try:
        # The first limits are set before anything is claimed.
        lines.append(output.readline())
        yield lines
        until.close()
        lines += output
        if process.wait(60):
            raise Wrong("The program that disturbs has failed.")
    finally:
        programs.stop(process)


async def _clients(bench: Bench, name: str, site: Site, tally: Tally, claims: int, until: float) -> None:
    over = asyncio.Event()
    tasks = [asyncio.create_task(_client(site, token, n, tally, over)) for n, token in enumerate(_tokens(bench))]
    sweep = _sweep(bench, name)
    killed = time.monotonic()
    try:
        while tally.claims < claims and time.monotonic() < until and not tally.faults:
            await asyncio.sleep(0.5)
            if not bench.server.ask(name, "SELECT true FROM jobs_job WHERE status = 'pending' LIMIT 1"):
                break
            if time.monotonic() - killed > KILL_EVERY:
                killed = time.monotonic()
                tally.kills += 2
                sweep.kill()
                sweep.wait()
                sweep = _sweep(bench, name)
                os.kill(random.choice(site.workers()).pid, signal.SIGKILL)
    finally:
        over.set()
        await asyncio.gather(*tasks)
        programs.stop(sweep)


def _tokens(bench: Bench) -> list[str]:
    return bench.fleet.tokens[:CLIENTS]


def _sweep(bench: Bench, name: str) -> subprocess.Popen[Any]:
    command = [sys.executable, "manage.py", "sweep_stuck", "--loop", "1"]
    environ = jobsite_server.environment(bench.server.url(name)) | ENVIRONMENT
    return programs.start(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


async def _client(site: Site, token: str, n: int, tally: Tally, over: asyncio.Event) -> None:
    """Claim, and end most of what it got in some way with the next call. What was not answered is sent again."""
    caller, own, reports = Caller(site.port, token), random.Random(n), dict[str, list[dict[str, Any]]]()
    while not over.is_set():
        ask = {"limit": own.choice((1, 10, 25))} | ({"kinds": kinds} if (kinds := ASKING[n % len(ASKING)]) else {})
        tally.calls += 1
        try:
            status, _, answer = await caller.post("/exchange", reports | {"claim": ask})
        except (OSError, EOFError, ValueError):
            # Its process was killed: by a new connection it meets another.
            tally.unanswered += 1
            caller.close()
            caller = Caller(site.port, token)
            await asyncio.sleep(0.02)
            continue
        if status == 503:
            tally.unavailable += 1
            await asyncio.sleep(0.02)
            continue
        if status != 200:
            tally.faults.append(f"{status}: {answer}")
            break
        tally.claims += len(answer["jobs"])
        reports = {}
        for job in answer["jobs"]:
            (end,) = own.choices(ENDS, WEIGHTS)
            if end:
                more = {"error": "it broke"} if end == "failed" else {}
                reports.setdefault(end, []).append({"id": job["id"], "attempt": job["attempt"], **more})
        if not answer["jobs"]:
            await asyncio.sleep(0.01)
    caller.close()
