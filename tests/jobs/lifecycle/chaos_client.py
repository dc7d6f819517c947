"""One client of the chaos test: claims, works, completes, and writes down what it was told. It may be killed any time.

Its arguments: the server's address, the bot's token, its log, and its way: `calls` makes a call for everything, and
`exchange` its whole turn at once. A line of the log is `claim JOB ATTEMPT` or
`done JOB ATTEMPT STATUS`, written at once, so that a kill loses no line but the last.

It imports little: two a second are started, and each import would cost as much as some hundred of its calls.
"""

import json
import os
import random
import sys
import uuid
from http.client import HTTPConnection
from typing import Any

LIMITS = (1, 3, 10)
#: How many jobs one call may report.
MOST_REPORTS = {"calls": 1, "exchange": max(LIMITS)}


class Caller:
    """One connection to the server."""

    def __init__(self, url: str, token: str, instance: str) -> None:
        self._http = HTTPConnection(url.removeprefix("http://"), timeout=30)
        self._headers = {"Authorization": f"Bearer {token}", "Bot-Instance": instance}

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """The status and the answer."""
        content = json.dumps(body)
        self._http.request("POST", f"/api/v1{path}", content, self._headers | {"Content-Type": "application/json"})
        response = self._http.getresponse()
        return response.status, json.loads(response.read() or "null")

    def ask(self, path: str, body: dict[str, Any]) -> Any:
        """The answer to a call that is not refused."""
        status, answer = self.post(path, body)
        assert status < 300, (status, answer)
        return answer


def main(url: str, token: str, path: str, way: str) -> None:
    """Work until somebody kills us."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    instance = uuid.uuid4().hex
    server = Caller(url, token, instance)
    server.ask("/hello", {"instance": instance})
    if way == "calls":
        by_calls(server, log)
    else:
        by_exchange(server, log)


def note_claims(log: int, jobs: list[dict[str, Any]]) -> None:
    for job in jobs:
        os.write(log, f"claim {job['id']} {job['attempt']}\n".encode())


def by_calls(server: Caller, log: int) -> None:
    while True:
        jobs = server.ask("/claim", {"limit": random.choice(LIMITS)})["jobs"]
        note_claims(log, jobs)
        for job in jobs:
            body = {"attempt": job["attempt"], "result": job["payload"]["n"] * 2}
            for _ in range(random.choice([1, 1, 1, 2])):
                status, _answer = server.post(f"/jobs/{job['id']}/complete", body)
                os.write(log, f"done {job['id']} {job['attempt']} {status}\n".encode())


def by_exchange(server: Caller, log: int) -> None:
    jobs: list[dict[str, Any]] = []
    while True:
        reports = [{"id": j["id"], "attempt": j["attempt"], "result": j["payload"]["n"] * 2} for j in jobs]
        turn = {"completed": reports, "claim": {"limit": random.choice(LIMITS)}}
        # Now and then the reports are said twice; a claim never is.
        for body in random.choice([[turn], [turn], [{"completed": reports}, turn]]):
            answer = server.ask("/exchange", body)
            for job in jobs:
                status = 200 if job["id"] in answer["accepted"] else 409
                os.write(log, f"done {job['id']} {job['attempt']} {status}\n".encode())
        jobs = answer["jobs"]
        note_claims(log, jobs)


if __name__ == "__main__":
    main(*sys.argv[1:])
