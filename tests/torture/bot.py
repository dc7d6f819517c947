"""One process of a bot: claims, works on nothing, reports in each way, repeats what was not answered, and is careless.

Its arguments: the server's port, the token, its log, the bot's name, its identity, a seed, and how many jobs it claims.
It forgets jobs, reports twice, reports what it was never given, and leaves a report out that was refused.
"""

import random
import sys
import uuid
from typing import Any

from tests.torture.calls import Caller, Stopping, not_known, pause, wait

#: What it does with a job that it holds, and how often.
DEEDS = {"completed": 80, "failed": 8, "heartbeats": 9, "released": 1, "forgotten": 2}
#: Added to an attempt that was never given.
BOGUS = 500
#: How often a call is repeated before the process goes on without.
REPEATS = 30

Lease = tuple[int, int]


class Bot:
    """The leases that it knows of, and what it does with them."""

    def __init__(self, caller: Caller, identity: str, rng: random.Random, most: int) -> None:
        self._caller, self._identity, self._rng, self._most = caller, identity, rng, most
        self._held: set[Lease] = set()
        self._instance = ""

    def hello(self) -> None:
        """Begin, or go on with what is held as a new instance, so that a claim under way gets nothing."""
        for attempt in range(REPEATS):
            self._instance = uuid.uuid4().hex
            body = {"instance": self._instance, "identity": self._identity, "holds": sorted(self._held)}
            status, answer = self._caller.call("/hello", body)
            if status == 200:
                self._held -= {lease for lease in self._held if lease[0] in answer["released"]}
                return
            if status == 401:
                sys.exit("the token is not valid")
            pause(self._rng, attempt)

    def goodbye(self) -> None:
        """End: what is held goes back."""
        for attempt in range(REPEATS):
            if self._caller.call("/goodbye", {"instance": self._instance})[0] == 200:
                return
            pause(self._rng, attempt)

    def turn(self) -> None:
        """Do something with each job that is held, and claim more."""
        deeds: dict[str, list[dict[str, Any]]] = {deed: [] for deed in DEEDS}
        for job, attempt in sorted(self._held):
            deed = self._rng.choices(list(DEEDS), list(DEEDS.values()))[0]
            deeds[deed].append({"id": job, "attempt": attempt} | self._body(deed, job, attempt))
        self._held -= {(one["id"], one["attempt"]) for one in deeds["forgotten"]}
        if self._rng.random() < 0.03 and deeds["completed"]:
            one = dict(self._rng.choice(deeds["completed"]))
            self._report("complete", one | {"attempt": one["attempt"] + BOGUS})
        for one in deeds["released"]:
            self._report("release", one)
        if self._rng.random() < 0.1:
            self._by_calls(deeds)
        else:
            self._exchange(deeds)

    def _body(self, deed: str, job: int, attempt: int) -> dict[str, Any]:
        if deed == "completed":
            return {"result": {"lease": [job, attempt]}}
        if deed == "failed":
            return {"error": "it broke", "retry": self._rng.random() < 0.8}
        return {"progress": self._rng.randrange(101)} if deed == "heartbeats" else {}

    def _by_calls(self, deeds: dict[str, list[dict[str, Any]]]) -> None:
        for deed, verb in (("completed", "complete"), ("failed", "fail"), ("heartbeats", "heartbeat")):
            for one in deeds[deed][:10]:
                self._report(verb, one)
        start = self._rng.random() < 0.7
        jobs = self._claim("/claim", {"limit": self._rng.randint(1, 5), "start": start, "wait": 1})
        for lease in [] if start else jobs:
            self._report("start", {"id": lease[0], "attempt": lease[1]})

    def _report(self, verb: str, one: dict[str, Any]) -> None:
        """One report with a call of its own, repeated until it is answered."""
        body = {name: value for name, value in one.items() if name != "id"}
        for attempt in range(REPEATS):
            status, answer = self._caller.call(f"/jobs/{one['id']}/{verb}", body, Bot_Instance=self._instance)
            known = not not_known(status, answer)
            if known and (status < 500 or self._rng.random() < 0.2):
                break
            pause(self._rng, attempt)
        if verb not in ("start", "heartbeat") or status in (404, 409):
            self._held.discard((one["id"], one["attempt"]))
        if verb == "complete" and status == 200 and self._rng.random() < 0.1:
            self._caller.call(f"/jobs/{one['id']}/complete", body | {"result": {"again": True}})

    def _exchange(self, deeds: dict[str, list[dict[str, Any]]]) -> None:
        reports = {name: deeds[name][:1000] for name in ("completed", "failed", "heartbeats") if deeds[name]}
        claim = {"claim": {"limit": self._rng.randint(1, self._most), "wait": 0 if reports else 1}}
        if self._rng.random() < 0.05 and reports:
            self._sent(reports)
        self._claim("/exchange", reports | claim, reports)

    def _sent(self, reports: dict[str, Any]) -> None:
        """Reports without a claim, repeated until they are answered or, now and then, refused."""
        for attempt in range(REPEATS):
            status, answer = self._caller.call("/exchange", reports, Bot_Instance=self._instance)
            if not not_known(status, answer) and (status < 500 or self._rng.random() < 0.2):
                break
            pause(self._rng, attempt)
        self._took(reports, status, answer)

    def _claim(self, path: str, body: dict[str, Any], reports: dict[str, Any] | None = None) -> list[Lease]:
        status, answer = self._caller.call(path, body, Bot_Instance=self._instance)
        if status == 200:
            self._took(reports or {}, status, answer)
            jobs = [(job["id"], job["attempt"]) for job in answer["jobs"]]
            self._held |= set(jobs)
            if answer["restart"]:
                self.hello()
            if not jobs:
                wait(self._rng.uniform(0.01, 0.1))
            return jobs
        pause(self._rng, 1)
        if reports:
            self._sent(reports)
        if status == 409 or not_known(status, answer):
            self.hello()
        return []

    def _took(self, reports: dict[str, Any], status: int, answer: Any) -> None:
        """Forget what has ended, whatever became of it."""
        if status == 200:
            self._held -= {(one["id"], one["attempt"]) for one in answer.get("rejected", ())}
        for name in ("completed", "failed"):
            self._held -= {(one["id"], one["attempt"]) for one in reports.get(name, [])}


def main(port: str, token: str, log: str, name: str, identity: str, seed: str, most: str) -> None:
    """Work until SIGTERM."""
    stopping = Stopping()
    bot = Bot(Caller(int(port), token, log, name), identity, random.Random(seed), int(most))
    bot.hello()
    while not stopping:
        bot.turn()
    bot.goodbye()


if __name__ == "__main__":
    main(*sys.argv[1:])
