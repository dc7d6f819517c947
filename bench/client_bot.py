"""Run a bot of the client library: `client_bot.py CONCURRENCY PREFETCH WORK`, until SIGTERM.

WORK: `nothing`, or to wait for 20 ms in a thread (`sleep`) or on an event loop (`sleep async`).
"""

import asyncio
import os
import sys
import time
from typing import Any

from jobsite_client import Bot, Job

SECONDS = 0.02


async def _sleep(job: Job) -> None:
    await asyncio.sleep(SECONDS)


WORKS: dict[str, Any] = {
    "nothing": lambda job: None,
    "sleep": lambda job: time.sleep(SECONDS),
    "sleep async": _sleep,
}


def main() -> int:
    concurrency, prefetch, work = sys.argv[1:]
    url, token = os.environ["JOBSITE_URL"], os.environ["JOBSITE_TOKEN"]
    handlers = {"noop": WORKS[work]}
    return Bot(url, token, handlers, concurrency=int(concurrency), prefetch=int(prefetch)).run()


if __name__ == "__main__":
    sys.exit(main())
