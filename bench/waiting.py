"""Run many bots with long polls in one process, and a producer beside them."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.load import Wrong

#: Seconds after which a producer's call has failed.
TIMEOUT = 10


@dataclass
class Arrivals:
    """When jobs were sent and arrived. Times are by the monotonic clock."""

    #: For each job: when it arrived at a bot.
    arrived: dict[int, float] = field(default_factory=dict)
    #: For each job: when its enqueueing was sent, and when that was answered.
    sent: dict[int, float] = field(default_factory=dict)
    taken: dict[int, float] = field(default_factory=dict)
    #: Calls answered with nothing before their time, and how many of them with `Retry-After`.
    early: int = 0
    turned_away: int = 0


class Caller:
    """A connection that is reused for one call after the other."""

    def __init__(self, port: int, token: str) -> None:
        self.port, self.token = port, token
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def post(self, path: str, value: Any) -> tuple[int, dict[str, str], Any]:
        """Post JSON. Returns status, headers (lower case) and body."""
        if self.reader is None or self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        body = json.dumps(value).encode()
        head = (
            f"POST /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.writer.write(head.encode() + body)
        first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
        content = await self._body(headers)
        return int(first.split()[1]), headers, json.loads(content)

    async def _body(self, headers: dict[str, str]) -> bytes:
        if self.reader is None or not {"content-length", "transfer-encoding"} & set(headers):
            raise Wrong(f"An answer without a length: {headers}")
        if "content-length" in headers:
            return await self.reader.readexactly(int(headers["content-length"]))
        parts = []
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            parts.append((await self.reader.readexactly(size + 2))[:-2])
        await self.reader.readexactly(2)
        return b"".join(parts)

    def close(self) -> None:
        """Close the connection."""
        if self.writer is not None:
            self.writer.close()


async def _bot(caller: Caller, wait: float, arrivals: Arrivals) -> None:
    done: list[dict[str, int]] = []
    while True:
        claim = {"limit": 1, "wait": wait}
        began = time.monotonic()
        status, headers, answer = await caller.post("/exchange", {"completed": done, "claim": claim})
        now = time.monotonic()
        if status != 200:
            raise Wrong(f"A waiting bot was answered {status}: {answer}")
        done = [{"id": job["id"], "attempt": job["attempt"]} for job in answer["jobs"]]
        for job in done:
            arrivals.arrived[job["id"]] = now
        if not done and now - began < wait / 2:
            arrivals.early += 1
            arrivals.turned_away += "retry-after" in headers
            await asyncio.sleep(float(headers.get("retry-after", 0.2)))


async def watch(
    port: int, tokens: Sequence[str], key: str, *, wait: float, jobs: int, pause: float, idle: Any
) -> Arrivals:
    """Run a waiting bot for each token; call `idle`, then enqueue `jobs` one by one with `pause` between.

    `idle` is called at once: it waits itself until all bots have called.
    Wrong when a call fails, or when enqueueing is not answered because the long polls use every thread.
    """
    arrivals = Arrivals()
    callers = [Caller(port, token) for token in tokens]
    bots = [asyncio.create_task(_bot(caller, wait, arrivals)) for caller in callers]
    producer = Caller(port, key)
    try:
        await idle()
        for number in range(jobs):
            sent = time.monotonic()
            try:
                async with asyncio.timeout(TIMEOUT):
                    status, _, job = await producer.post("/jobs", {"kind": "noop", "payload": {"n": number}})
            except TimeoutError:
                raise Wrong(f"POST /jobs was not answered within {TIMEOUT} s while {len(tokens)} bots wait.") from None
            if status != 201:
                raise Wrong(f"A job could not be enqueued: {status} {job}")
            arrivals.sent[job["id"]], arrivals.taken[job["id"]] = sent, time.monotonic()
            await asyncio.sleep(pause)
        until = time.monotonic() + TIMEOUT
        while len(arrivals.arrived) < jobs and time.monotonic() < until:
            await asyncio.sleep(0.05)
        for bot in bots:
            if bot.done():
                bot.result()
    finally:
        for bot in bots:
            bot.cancel()
        await asyncio.gather(*bots, return_exceptions=True)
        for caller in (*callers, producer):
            caller.close()
    return arrivals
