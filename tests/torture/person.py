"""An operator with an API key, who releases, cancels and retries jobs, pauses and restarts bots, and reads.

The arguments: the server's port, the key, the log, a name and a seed.
"""

import random
import sys
from typing import Any

from tests.torture.calls import Caller, Stopping, wait

#: What is done to jobs of which status, and how often beside the others.
VERBS = {"release": ("processing", 4), "cancel": ("pending,processing", 3), "retry": ("failed,cancelled", 3)}


class Person:
    """Picks jobs and bots from the lists of the API."""

    def __init__(self, caller: Caller, rng: random.Random) -> None:
        self._caller, self._rng = caller, rng

    def act(self) -> None:
        """Do one thing."""
        if self._rng.random() < 0.8:
            self._jobs()
        elif self._rng.random() < 0.8:
            self._bots()
        else:
            self._caller.call("/stuck")

    def _jobs(self) -> None:
        verb = self._rng.choices(list(VERBS), [often for _, often in VERBS.values()])[0]
        statuses, _ = VERBS[verb]
        for job in self._some(f"/jobs?status={self._rng.choice(statuses.split(','))}&limit=50", "jobs", 5):
            # One in ten is in another status by now, or never was in this one.
            chosen = verb if self._rng.random() < 0.9 else self._rng.choice(list(VERBS))
            self._caller.call(f"/jobs/{job['id']}/{chosen}", {"reason": "storm"})

    def _bots(self) -> None:
        for bot in self._some("/bots?limit=50", "bots", 2):
            if bot["paused"] or bot["quarantined"]:
                self._caller.call(f"/bots/{bot['id']}/resume", {})
            else:
                self._caller.call(f"/bots/{bot['id']}/{self._rng.choice(['pause', 'restart'])}", {"reason": "storm"})
                self._caller.call(f"/bots/{bot['id']}/resume", {})

    def _some(self, path: str, name: str, most: int) -> list[dict[str, Any]]:
        status, answer = self._caller.call(path)
        found = answer[name] if status == 200 else []
        return self._rng.sample(found, min(len(found), self._rng.randint(1, most)))


def main(port: str, key: str, log: str, name: str, seed: str) -> None:
    """Act a few times a second, until SIGTERM."""
    stopping, rng = Stopping(), random.Random(seed)
    person = Person(Caller(int(port), key, log, name), rng)
    while not stopping:
        person.act()
        wait(rng.uniform(0, 0.3))


if __name__ == "__main__":
    main(*sys.argv[1:])
