"""The machine of the primary dies, and comes back later: what happens to two web servers meanwhile, in seconds."""

import random
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from socket import socket
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from bench.jobsite_server import free_port
from tests.torture.cluster import Cluster
from tests.torture.journal import Lost
from tests.torture.processes import Program
from tests.torture.stage import Stage, connected, serve

#: Seconds for which the standbys get nothing before an asynchronous primary dies.
BEHIND = 1.0


class Pair(Stage):
    """Two web servers: one through PgBouncer and HAProxy, one that finds the primary among all machines by itself."""

    def __init__(self, world: Cluster, name: str, directory: Path, rng: random.Random, **sizes: Any) -> None:
        self.ports = cycle([0])
        super().__init__(world, name, directory, rng, **sizes)
        self.second_port = free_port()
        (directory / "metrics-2").mkdir()
        own = {"DATABASE_URL": world.everywhere(name), "PROMETHEUS_MULTIPROC_DIR": str(directory / "metrics-2")}
        own["LISTEN_DATABASE_URL"] = ""
        self.second = Program("web-2", serve(self.second_port), self.environment | own, directory / "web-2.err")
        self.ports = cycle([self.port, self.second_port])

    def reached(self) -> socket:
        """Bots and people reach one after the other."""
        return connected(next(self.ports))

    @property
    def programs(self) -> list[Program]:
        return [*super().programs, self.second]

    def start_web(self) -> None:
        self.second.start()
        super().start_web()


@dataclass
class Failover:
    """A strike. `seconds`: from the death of the primary until each of these."""

    cluster: Cluster
    synchronous: bool
    seconds: list[dict[str, float]] = field(default_factory=list)

    def strike(self, stage: Stage, rng: random.Random) -> None:
        assert isinstance(stage, Pair)
        dies = self.cluster.primary()
        assert dies is not None
        time.sleep(rng.uniform(2, 4))
        since = time.monotonic()
        if not self.synchronous:
            self._stop_receiving(signal.SIGSTOP)
            time.sleep(BEHIND)
        died = time.monotonic()
        dies.kill()
        self._stop_receiving(signal.SIGCONT)
        after: dict[str, float] = {}
        ends = {
            "a standby is promoted": lambda: self.cluster.primary() not in (None, dies),
            "web server 1 is ready": lambda: is_ready(stage.port),
            "web server 2 is ready": lambda: is_ready(stage.second_port),
        }
        for name, holds in ends.items():
            self.cluster.wait(f"not yet: {name}", holds)
            after[name] = time.monotonic() - died
        if not self.synchronous:
            stage.restores.append(Lost(since, time.monotonic()))
        self.cluster.start_machine(dies)
        self.cluster.wait("the machine is not back", lambda: self.cluster.standbys() == 2)
        after["the machine is back, as a standby"] = time.monotonic() - died
        self.seconds.append(after)
        if self.synchronous:
            self.cluster.wait("nothing is synchronous", lambda: self.cluster.standbys("sync"))
        time.sleep(rng.uniform(2, 4))

    def _stop_receiving(self, number: int) -> None:
        for machine in self.cluster.machines:
            machine.signal_receiver(number)


def is_ready(port: int) -> bool:
    """Whether a web server there has its database."""
    with suppress(OSError, URLError), urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
        return bool(answer.status == 200)
    return False
