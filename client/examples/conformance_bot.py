"""The bot of this library that the conformance suite checks: `conformance_bot.py [CONCURRENCY [asyncio]]`.

python -m jobsite_client.conformance -- python client/examples/conformance_bot.py
"""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

from jobsite_client import Bot, GiveUp, Job, log_to_stderr


def echo(job: Job) -> Any:
    """The payload is the result."""
    return job.payload


def fail(job: Job) -> None:
    """Fail with the payload's error."""
    error = RuntimeError(job.payload["error"])
    raise error if job.payload.get("retry", True) else GiveUp(str(error))


def sleep(job: Job) -> dict[str, float]:
    """Write a line each 0.1 s, until it is over or the lease is lost."""
    until = time.monotonic() + job.payload["seconds"]
    line = f"begin {job.id} {job.attempt}\n"
    with Path(job.payload["file"]).open("a", encoding="utf-8") as file:
        while True:
            file.write(line)
            file.flush()
            line = f"work {job.id} {job.attempt}\n"
            if (left := until - time.monotonic()) <= 0:
                return {"slept": job.payload["seconds"]}
            job.cancelled.wait(min(left, 0.1))
            job.check()


# --- The same on an event loop ----------------------------------------------------------------------------------------


async def echo_async(job: Job) -> Any:
    """The payload is the result."""
    await asyncio.sleep(0)
    return job.payload


async def fail_async(job: Job) -> None:
    """Fail with the payload's error."""
    await asyncio.sleep(0)
    fail(job)


async def sleep_async(job: Job) -> dict[str, float]:
    """Write a line each 0.1 s, until it is over or it is cancelled."""
    until = time.monotonic() + job.payload["seconds"]
    line = f"begin {job.id} {job.attempt}\n"
    with Path(job.payload["file"]).open("a", encoding="utf-8") as file:
        while True:
            file.write(line)
            file.flush()
            line = f"work {job.id} {job.attempt}\n"
            if (left := until - time.monotonic()) <= 0:
                return {"slept": job.payload["seconds"]}
            await asyncio.sleep(min(left, 0.1))


if __name__ == "__main__":
    log_to_stderr()
    handlers: dict[str, Any] = {"conformance.echo": echo, "conformance.fail": fail, "conformance.sleep": sleep}
    if sys.argv[2:] == ["asyncio"]:
        handlers = {
            "conformance.echo": echo_async,
            "conformance.fail": fail_async,
            "conformance.sleep": sleep_async,
        }
    concurrency = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    sys.exit(Bot(os.environ["JOBSITE_URL"], os.environ["JOBSITE_TOKEN"], handlers, concurrency=concurrency).run())
