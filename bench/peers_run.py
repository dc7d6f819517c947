"""Define the peers and their best settings, and measure one of them."""

import json
import os
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from bench import programs
from bench.database import Server
from bench.peers_environment import PEERS, need
from bench.places import LOGS, NODE, VENV

#: Seconds after which a peer's program is stopped.
TIMEOUT = 180


class PeerFailed(RuntimeError):
    """A peer's program failed; the message has its output."""


@dataclass(frozen=True)
class Peer:
    """A project to compare with. `left` is a query for the number of its unfinished jobs."""

    name: str
    package: str
    program: str
    left: str
    #: Sizes of its bulk calls, to find its best rate of enqueueing.
    enqueue: tuple[int, ...]
    #: How it hands out single jobs: options for its program, by their names in the tables.
    single: dict[str, dict[str, Any]]
    #: The same for batches.
    batch: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: A slow peer gets this share of the jobs, so that all take about as long.
    share: float = 1.0

    @property
    def database(self) -> str:
        return "bench_" + self.name.replace("-", "_")


PEER_LIST = [
    Peer(
        "graphile-worker",
        "graphile-worker",
        "graphile_worker.mjs",
        "SELECT count(*) FROM graphile_worker._private_jobs",
        enqueue=(1000, 10_000),
        single={
            "concurrency 20": {"concurrency": 20},
            "concurrency 10": {"concurrency": 10},
            "concurrency 40": {"concurrency": 40},
        },
        batch={
            "local queue 1000": {"concurrency": 24, "local_queue": 1000},
            "local queue 500": {"concurrency": 24, "local_queue": 500},
            "local queue 250": {"concurrency": 24, "local_queue": 250},
            "local queue 100": {"concurrency": 24, "local_queue": 100},
        },
    ),
    Peer(
        "pgqueuer",
        "pgqueuer",
        "pgqueuer_.py",
        "SELECT count(*) FROM pgqueuer",
        enqueue=(1000, 10_000),
        single={"batch 1": {"batch": 1}},
        batch={"batch 500": {"batch": 500}, "batch 100": {"batch": 100}, "batch 10 (its default)": {"batch": 10}},
        share=0.3,
    ),
    Peer(
        "pg-boss",
        "pg-boss",
        "pg_boss.mjs",
        "SELECT count(*) FROM pgboss.job WHERE name = 'noop' AND state < 'completed'",
        enqueue=(1000, 10_000),
        single={"fetch 1 in 20 loops": {"how": "fetch", "batch": 1, "concurrency": 20}},
        batch={
            "fetch 100 in 4 loops": {"how": "fetch", "batch": 100, "concurrency": 4},
            "work, batch 100": {"how": "work", "batch": 100, "concurrency": 1},
        },
        share=0.3,
    ),
    Peer(
        "procrastinate",
        "procrastinate",
        "procrastinate_.py",
        "SELECT count(*) FROM procrastinate_jobs WHERE status <> 'succeeded'",
        enqueue=(1000, 10_000),
        single={"concurrency 20": {"concurrency": 20}},
        share=0.15,
    ),
    Peer(
        "django-tasks-db",
        "django-tasks-db",
        "django_tasks_db_.py",
        "SELECT count(*) FROM django_tasks_database_dbtaskresult WHERE status <> 'SUCCESSFUL'",
        enqueue=(1000,),
        single={"2 workers": {"processes": 2}},
        share=0.15,
    ),
]


def run(peer: Peer, action: str, **options: Any) -> dict[str, Any]:
    """Run the peer's program for one action and return its figures. PeerFailed when it fails or takes too long."""
    if peer.program.endswith(".mjs"):
        command = [need("node", "nodejs"), str(NODE / peer.program)]
    else:
        command = [str(VENV / "bin/python"), str(PEERS / peer.program)]
    LOGS.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"NO_LOG_SUCCESS": "1", "NODE_ENV": "production"}
    with (LOGS / f"{peer.name}.log").open("w+") as log:
        process = programs.start(
            [*command, action, json.dumps(options)], stdout=subprocess.PIPE, stderr=log, text=True, env=environment
        )
        try:
            output, _ = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            raise PeerFailed(f"{peer.name} {action} did not end within {TIMEOUT} s.") from None
        finally:
            programs.stop(process)
        if process.returncode:
            log.seek(0)
            raise PeerFailed(f"{peer.name} {action} ended with {process.returncode}:\n{log.read()[-2000:]}")
    figures: dict[str, Any] = json.loads(output.splitlines()[-1])
    return figures


def measure(
    server: Server,
    peer: Peer,
    jobs: int,
    options: dict[str, Any],
    around: Callable[[str], AbstractContextManager[Any]] = nullcontext,
) -> float:
    """Preload `jobs` and let the peer complete them. Returns the seconds from its first start to its last end.

    `around` takes the database's name and is entered while the peer works.
    """
    with server.database(peer.database) as name:
        url = server.url(name)
        run(peer, "prepare", url=url)
        run(peer, "enqueue", url=url, jobs=jobs, batch=1000)
        server.settle(name)
        with around(name):
            seconds: float = run(peer, "work", url=url, jobs=jobs, **options)["seconds"]
        left = server.ask(name, peer.left)
        if left:
            raise PeerFailed(f"{peer.name} ended, and {left} of {jobs} jobs are unfinished.")
        return seconds


def measure_enqueue(server: Server, peer: Peer, jobs: int, batch: int) -> float:
    """Return the seconds in which the peer enqueues `jobs`, `batch` in each call."""
    with server.database(peer.database) as name:
        url = server.url(name)
        run(peer, "prepare", url=url)
        server.settle(name)
        seconds: float = run(peer, "enqueue", url=url, jobs=jobs, batch=batch)["seconds"]
        enqueued = server.ask(name, peer.left)
        if enqueued != jobs:
            raise PeerFailed(f"{peer.name} enqueued {enqueued} of {jobs} jobs.")
        return seconds
