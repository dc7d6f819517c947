"""The peers: what each is, how it is told to be fast, and how one measurement of it is made."""

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

#: Seconds after which a peer's program is given up.
PATIENCE = 180


class PeerFailed(RuntimeError):
    """A peer's program ended badly; the message has what it said."""


@dataclass(frozen=True)
class Peer:
    """One project we compare with. `left` is a query for the jobs it has not finished."""

    name: str
    package: str
    program: str
    left: str
    #: How many jobs one bulk call of it takes, for its enqueueing to be at its best.
    enqueue: tuple[int, ...]
    #: How it hands out single jobs: options for its program, by what the tables call them.
    single: dict[str, dict[str, Any]]
    #: The same for batches.
    batch: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: A slow one gets this part of the jobs, so that all take about as long.
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
    """Run the peer's program for one action; its figures. PeerFailed when it ended badly or took too long."""
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
            said, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise PeerFailed(f"{peer.name} {action} did not end within {PATIENCE} s.") from None
        finally:
            programs.stop(process)
        if process.returncode:
            log.seek(0)
            raise PeerFailed(f"{peer.name} {action} ended with {process.returncode}:\n{log.read()[-2000:]}")
    figures: dict[str, Any] = json.loads(said.splitlines()[-1])
    return figures


def measure(
    server: Server,
    peer: Peer,
    jobs: int,
    options: dict[str, Any],
    around: Callable[[str], AbstractContextManager[Any]] = nullcontext,
) -> float:
    """Preload `jobs` and let the peer work them off; the seconds from its first start to its last end.

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
            raise PeerFailed(f"{peer.name} said that it was done, and {left} of {jobs} jobs are not.")
        return seconds


def measure_enqueue(server: Server, peer: Peer, jobs: int, batch: int) -> float:
    """The seconds in which the peer takes in `jobs`, `batch` in each call."""
    with server.database(peer.database) as name:
        url = server.url(name)
        run(peer, "prepare", url=url)
        server.settle(name)
        seconds: float = run(peer, "enqueue", url=url, jobs=jobs, batch=batch)["seconds"]
        there = server.ask(name, peer.left)
        if there != jobs:
            raise PeerFailed(f"{peer.name} took in {there} of {jobs} jobs.")
        return seconds
