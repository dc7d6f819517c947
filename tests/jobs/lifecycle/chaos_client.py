"""One client of the chaos test: claims, works, completes, and writes down what it was told. It may be killed any time.

Its arguments: the server's address, the bot's token, its log, and its way: `calls` makes a call for everything, and
`exchange` its whole turn at once. A line of the log is `claim JOB ATTEMPT` or
`done JOB ATTEMPT STATUS`, written at once, so that a kill loses no line but the last.
"""

import json
import os
import random
import sys
import uuid
from typing import Any

import httpx

LIMITS = (1, 3, 10)
#: How many jobs one call may report.
MOST_REPORTS = {"calls": 1, "exchange": max(LIMITS)}


def main(url: str, token: str, path: str, way: str) -> None:
    """Work until somebody kills us."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    instance = uuid.uuid4().hex
    headers = {"Authorization": f"Bearer {token}", "Bot-Instance": instance}
    with httpx.Client(base_url=url + "/api/v1", headers=headers, timeout=30) as http:
        http.post("/hello", json={"instance": instance}).raise_for_status()
        if way == "calls":
            by_calls(http, log)
        else:
            by_exchange(http, log)


def note_claims(log: int, jobs: list[dict[str, Any]]) -> None:
    for job in jobs:
        os.write(log, f"claim {job['id']} {job['attempt']}\n".encode())


def by_calls(http: httpx.Client, log: int) -> None:
    while True:
        answer = http.post("/claim", json={"limit": random.choice(LIMITS)})
        answer.raise_for_status()
        note_claims(log, answer.json()["jobs"])
        for job in answer.json()["jobs"]:
            body = json.dumps({"attempt": job["attempt"], "result": job["payload"]["n"] * 2})
            for _ in range(random.choice([1, 1, 1, 2])):
                said = http.post(f"/jobs/{job['id']}/complete", content=body)
                os.write(log, f"done {job['id']} {job['attempt']} {said.status_code}\n".encode())


def by_exchange(http: httpx.Client, log: int) -> None:
    jobs: list[dict[str, Any]] = []
    while True:
        reports = [{"id": j["id"], "attempt": j["attempt"], "result": j["payload"]["n"] * 2} for j in jobs]
        turn = {"completed": reports, "claim": {"limit": random.choice(LIMITS)}}
        # Now and then the reports are said twice; a claim never is.
        for body in random.choice([[turn], [turn], [{"completed": reports}, turn]]):
            answer = http.post("/exchange", json=body)
            answer.raise_for_status()
            said = answer.json()
            for job in jobs:
                status = 200 if job["id"] in said["accepted"] else 409
                os.write(log, f"done {job['id']} {job['attempt']} {status}\n".encode())
        jobs = said["jobs"]
        note_claims(log, jobs)


if __name__ == "__main__":
    main(*sys.argv[1:])
