"""A bot with real work, and with work that crashes and hangs: `studio_bot.py {asyncio,threads,processes}`."""

import asyncio
import hashlib
import os
import sys
import time
from dataclasses import dataclass
from typing import Any

from jobsite_client import Bot, GiveUp, Job, RetryLater, log_to_stderr


@dataclass
class Seed:
    number: int


def pixels(number: int) -> list[list[int]]:
    """A grey picture of 32 × 32, another one for each number."""
    data = hashlib.shake_256(str(number).encode()).digest(1024)
    return [list(data[start : start + 32]) for start in range(0, 1024, 32)]


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode() * 10_000).hexdigest()


def halved(picture: list[list[int]]) -> list[list[int]]:
    """The picture in half its size: each pixel is the mean of four."""
    rows = [zip(upper, lower, strict=True) for upper, lower in zip(picture[::2], picture[1::2], strict=True)]
    columns = [[sum(pair) for pair in row] for row in rows]
    return [[(row[at] + row[at + 1]) // 4 for at in range(0, len(row), 2)] for row in columns]


def hash_it(job: Job, seed: Seed) -> dict[str, Any]:
    return {"sha256": digest(seed.number)}


def resize(job: Job, seed: Seed) -> list[list[int]]:
    return halved(pixels(seed.number))


def crash(job: Job) -> None:
    raise RuntimeError("the disk is full")


def hopeless(job: Job) -> None:
    raise GiveUp("There is no file.")


def second_time(job: Job) -> str:
    if job.attempt % 1_000_000 == 1:
        raise RetryLater(0, "The first time it does not work.")
    return "it works"


def hang(job: Job) -> None:
    time.sleep(600)


async def hang_softly(job: Job) -> None:
    await asyncio.Event().wait()


def as_async(function: Any) -> Any:
    async def handler(job: Job, seed: Seed) -> Any:
        await asyncio.sleep(0.001)
        return function(job, seed)

    return handler


def main(mode: str) -> int:
    """Run until a signal."""
    handlers = {"hash": hash_it, "resize": resize, "crash": crash, "hopeless": hopeless, "second_time": second_time}
    handlers["hang"] = hang
    if mode == "asyncio":
        handlers["hang"] = hang_softly  # type: ignore[assignment]
        handlers |= {"hash": as_async(hash_it), "resize": as_async(resize)}
        handlers |= {kind: _awaiting(handlers[kind]) for kind in ("crash", "hopeless", "second_time")}
    modes = {"asyncio": {"concurrency": 50}, "threads": {"concurrency": 8}, "processes": {"processes": 4}}
    options: dict[str, Any] = {"timeout": {"hang": 0.2}, "grace": 0.1, "prefetch": 20} | modes[mode]
    url, token = os.environ["JOBSITE_URL"], os.environ["JOBSITE_TOKEN"]
    return Bot(url, token, handlers, identity="studio", **options).run()


def _awaiting(function: Any) -> Any:
    async def handler(job: Job) -> Any:
        await asyncio.sleep(0)
        return function(job)

    return handler


if __name__ == "__main__":
    log_to_stderr()
    sys.exit(main(sys.argv[1]))
