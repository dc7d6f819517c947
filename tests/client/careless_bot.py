"""A bot of one thread that is right, and wrong in the way that its argument names."""

import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
import uuid
from typing import Any

WRONG = sys.argv[1] if len(sys.argv) > 1 else ""
URL = os.environ["JOBSITE_URL"] + "/api/v1/"
HEADERS = {"Authorization": f"Bearer {os.environ['JOBSITE_TOKEN']}", "Content-Type": "application/json"}
#: What a job has today.
FIELDS = {
    "id", "kind", "attempt", "max_attempts", "payload", "priority", "key", "run_at", "deadline_at", "lease_for",
}  # fmt: skip
stopping = False
forgotten: list[Any] = []


class Replaced(Exception):
    """A newer process has taken over."""


def call(path: str, body: dict[str, Any], tries: int = 8) -> Any:
    """The answer; None for a lease that is lost, and where no try was answered."""
    for number in range(tries):
        try:
            request = urllib.request.Request(URL + path, json.dumps(body).encode(), HEADERS)
            with urllib.request.urlopen(request, timeout=0.5 if WRONG == "impatient" else 40) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            problem = json.load(error)
            if problem["code"] == "instance_replaced":
                raise Replaced from None
            if error.code == 401 and WRONG != "tries for ever":
                sys.exit(1)
            if error.code not in (401, 429, 503):
                return None
            time.sleep(float(error.headers["Retry-After"] or 0) if WRONG != "in a hurry" else 0.1)
        except OSError:
            time.sleep(0.1 if WRONG == "never waits longer" else 0.1 * 2**number)
    return None


def hello(instance: str, **more: Any) -> None:
    if WRONG != "no hello":
        call("hello", {"instance": instance} | more)
    if WRONG != "no name":
        HEADERS["Bot-Instance"] = instance


def work(job: dict[str, Any]) -> Any:
    """Do what the kind asks for."""
    payload = job["payload"]
    if job["kind"] == "conformance.sleep":
        if WRONG == "forgets" and not forgotten:
            forgotten.append(job)
            with open(payload["file"], "a") as file:
                file.write(f"begin {job['id']} {job['attempt']}\n")
            time.sleep(0.5)
            call("claim", {}, 1)
            hello(uuid.uuid4().hex, holds=[])
        until = time.monotonic() + payload["seconds"]
        what = "begin"
        while time.monotonic() < until and not stopping:
            with open(payload["file"], "a") as file:
                file.write(f"{what} {job['id']} {job['attempt']}\n" * (2 if WRONG == "works twice" else 1))
            what = "begin" if WRONG == "works twice" else "work"
            time.sleep(0.1)
        return {"slept": payload["seconds"]}
    return payload


def one(job: dict[str, Any]) -> None:
    attempt = 1 if WRONG == "counts attempts" else job["attempt"]
    if job["kind"] == "conformance.fail":
        retry = True if WRONG == "tries again" else job["payload"]["retry"]
        call(f"jobs/{job['id']}/fail", {"attempt": attempt, "error": job["payload"]["error"], "retry": retry})
        return
    result = work(job)
    if stopping:
        return
    if WRONG == "spoils results":
        result = str(result)
    call(f"jobs/{job['id']}/complete", {"attempt": attempt, "result": result}, 1 if WRONG == "reports once" else 8)


def main() -> None:
    """Claim until SIGTERM."""
    name = "always-the-same" if WRONG == "one name" else uuid.uuid4().hex
    hello(name)
    while not stopping:
        try:
            claimed = call("claim", {"wait": 0 if WRONG == "hammers" else 1})
        except Replaced:
            if WRONG != "fights":
                sys.exit(0)
            hello(uuid.uuid4().hex)
            continue
        for job in (claimed or {}).get("jobs", ()):
            if WRONG != "knows all fields" or set(job) <= FIELDS:
                one(job)
    if WRONG == "calls after goodbye":
        call("goodbye", {"instance": name})
        call("jobs/17/complete", {"attempt": 3_000_001})
    elif WRONG != "no goodbye":
        call("goodbye", {"instance": name})


def stop(*args: object) -> None:
    global stopping
    stopping = True


if __name__ == "__main__":
    if WRONG != "dies":
        signal.signal(signal.SIGTERM, stop)
    if WRONG == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    main()
