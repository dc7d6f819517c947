"""A whole bot on a client that openapi-python-client made of the document: `python bot.py URL TOKEN`.

It works until a job asks it to stop, and prints a line of JSON for each answer worth knowing.
"""

import json
import os
import sys
from typing import Any

from client.api.bots import claim, complete_job, fail_job, goodbye, heartbeat_job, hello
from client.models.claim_in import ClaimIn
from client.models.claim_out import ClaimOut
from client.models.complete_in import CompleteIn
from client.models.fail_in import FailIn
from client.models.goodbye_in import GoodbyeIn
from client.models.goodbye_out import GoodbyeOut
from client.models.heartbeat_in import HeartbeatIn
from client.models.hello_in import HelloIn
from client.models.hello_out import HelloOut
from client.models.lease_lost_problem import LeaseLostProblem
from client.models.lease_out import LeaseOut
from client.models.renewed_out import RenewedOut
from client.models.report_out import ReportOut
from client.models.too_many_problem import TooManyProblem

from client import AuthenticatedClient

URL, TOKEN = sys.argv[1:]
INSTANCE = f"python-{os.getpid()}"
client = AuthenticatedClient(base_url=URL, token=TOKEN, headers={"Bot-Instance": INSTANCE})


def show(**line: Any) -> None:
    """Print a line."""
    print(json.dumps(line), flush=True)


def work(job: LeaseOut) -> None:
    """Do a job: a heartbeat, and its end."""
    renewed = heartbeat_job.sync(
        job.id, client=client, body=HeartbeatIn(attempt=job.attempt, progress=50, note="half of it")
    )
    assert isinstance(renewed, RenewedOut), renewed
    if job.kind == "bad":
        failed = fail_job.sync(job.id, client=client, body=FailIn(attempt=job.attempt, error="it is bad", retry=False))
        assert isinstance(failed, ReportOut), failed
        show(failed=failed.job_id, status=failed.status)
        return
    done = complete_job.sync(job.id, client=client, body=CompleteIn(attempt=job.attempt, result={"worked": True}))
    assert isinstance(done, ReportOut), done
    show(completed=done.job_id, restart=done.restart)


def report_late(job: LeaseOut) -> None:
    """What has ended cannot be reported otherwise: the refusal says who ended it."""
    late = complete_job.sync_detailed(job.id, client=client, body=CompleteIn(attempt=job.attempt, result="too late"))
    if isinstance(late.parsed, LeaseLostProblem):
        lost = late.parsed
        show(
            lost=lost.job_id, attempt=lost.attempt, verb=lost.verb, ended_by=lost.ended_by, cancel=lost.cancel,
            paused=lost.paused,
        )  # fmt: skip
    elif isinstance(late.parsed, TooManyProblem):
        show(wait=late.headers["Retry-After"])
    else:
        raise SystemExit(f"{late.status_code}: {late.parsed}")


def main() -> None:
    """Claim and work until a job is the last."""
    greeted = hello.sync(client=client, body=HelloIn(instance=INSTANCE, identity="python", kinds=["good", "bad"]))
    assert isinstance(greeted, HelloOut), greeted
    show(hello=greeted.name, warnings=len(greeted.warnings))
    last = False
    while not last:
        claimed = claim.sync(client=client, body=ClaimIn(limit=1, wait=5))
        assert isinstance(claimed, ClaimOut), claimed
        for job in claimed.jobs:
            work(job)
            if job.kind == "bad":
                report_late(job)
            last = bool(job.payload.get("last"))
    ended = goodbye.sync(client=client, body=GoodbyeIn(instance=INSTANCE))
    assert isinstance(ended, GoodbyeOut), ended
    show(released=ended.released)


main()
