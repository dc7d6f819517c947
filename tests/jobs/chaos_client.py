"""One client of the chaos test: claims, works, completes, and writes down what it was told. It may be killed any time.

Its arguments: the server's address, the bot's token, and its log. A line of the log is `claim JOB ATTEMPT` or
`done JOB ATTEMPT STATUS`, written at once, so that a kill loses no line but the last.
"""

import json
import os
import random
import sys
import uuid

import httpx


def main(url: str, token: str, path: str) -> None:
    """Work until the queue has been empty for a while or somebody kills us."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    instance = uuid.uuid4().hex
    headers = {"Authorization": f"Bearer {token}", "Bot-Instance": instance}
    with httpx.Client(base_url=url + "/api/v1", headers=headers, timeout=30) as http:
        http.post("/hello", json={"instance": instance}).raise_for_status()
        while True:
            answer = http.post("/claim", json={"limit": random.choice([1, 3, 10])})
            answer.raise_for_status()
            for job in answer.json()["jobs"]:
                os.write(log, f"claim {job['id']} {job['attempt']}\n".encode())
            for job in answer.json()["jobs"]:
                body = json.dumps({"attempt": job["attempt"], "result": job["payload"]["n"] * 2})
                for _ in range(random.choice([1, 1, 1, 2])):
                    said = http.post(f"/jobs/{job['id']}/complete", content=body)
                    os.write(log, f"done {job['id']} {job['attempt']} {said.status_code}\n".encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
