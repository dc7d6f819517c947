"""A producer: adds as many jobs as a file says that are wanted now, in each way, and some that are refused.

Its arguments: the server's port, its key, its log, its name, a seed and the file. The payload of a job names the call
that it is from, so that the checker can tell which jobs nobody asked for.
"""

import os
import random
import sys
from pathlib import Path
from typing import Any

from tests.torture.calls import Caller, Stopping, not_known, pause, wait

KINDS = ("storm.even", "storm.odd", "storm.rare")
#: The most jobs of one call.
MOST = 2000
REPEATS = 30


class Producer:
    """Numbers its calls, so that each has a name of its own."""

    def __init__(self, caller: Caller, name: str, rng: random.Random) -> None:
        self._caller, self._name, self._rng, self._ops = caller, name, rng, 0

    def add(self, wanted: int) -> None:
        """Add so many jobs."""
        while wanted > 0:
            n = min(wanted, MOST if self._rng.random() < 0.9 else self._rng.randint(1, 5))
            if n == 1 or self._rng.random() < 0.1:
                for _ in range(min(n, 10)):
                    self._one()
                wanted -= min(n, 10)
            else:
                self._bulk(n)
                wanted -= n

    def _jobs(self, n: int) -> list[dict[str, Any]]:
        self._ops += 1
        op, keyed = f"{self._name}.{self._ops}", self._rng.random() < 0.4
        jobs = []
        for i in range(n):
            job: dict[str, Any] = {"kind": self._rng.choice(KINDS), "payload": {"op": op, "i": i}}
            if keyed:
                job["key"] = f"{op}.{i}"
            if self._rng.random() < 0.1:
                job["priority"] = self._rng.randint(-2, 2)
            jobs.append(job)
        return jobs

    def _one(self) -> None:
        (job,) = self._jobs(1)
        self._call("/jobs", job, keyed="key" in job)

    def _bulk(self, n: int) -> None:
        jobs = self._jobs(n)
        if self._rng.random() < 0.03:
            self._rng.choice(jobs)["priority"] = "high"
        self._call("/jobs/bulk", {"jobs": jobs}, keyed="key" in jobs[0], lines=self._rng.random() < 0.3)

    def _call(self, path: str, body: Any, *, keyed: bool, lines: bool = False) -> None:
        """Call, and repeat what is safe to repeat; now and then also what was answered."""
        for attempt in range(REPEATS):
            status, answer = self._caller.call(path, body, lines=lines)
            again = keyed and (status == 503 or not_known(status, answer) or self._rng.random() < 0.1)
            if not again:
                return
            pause(self._rng, attempt)


def main(port: str, key: str, log: str, name: str, seed: str, wanted: str) -> None:
    """Add jobs until SIGTERM."""
    stopping = Stopping()
    # In a name that no other life of it has: payloads name the call.
    producer = Producer(Caller(int(port), key, log, name), f"{name}.{os.getpid()}", random.Random(seed))
    while not stopping:
        producer.add(int(Path(wanted).read_text() or 0))
        wait(0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])
