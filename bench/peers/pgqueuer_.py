"""Run pgqueuer on asyncpg and uvloop, as its own command line runs it. `python FILE ACTION JSON`."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import uvloop
from peer import batches, main, now
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries


def prepare(url: str) -> dict[str, Any]:
    async def do() -> None:
        connection = await asyncpg.connect(url)
        await Queries(AsyncpgDriver(connection)).install()
        await connection.close()

    uvloop.run(do())
    return {}


def enqueue(url: str, jobs: int, batch: int) -> dict[str, Any]:
    async def do() -> float:
        connection = await asyncpg.connect(url)
        queries = Queries(AsyncpgDriver(connection))
        start = now()
        for size in batches(jobs, batch):
            await queries.enqueue(["noop"] * size, [b'{"n": %d}' % n for n in range(size)], [0] * size)
        return now() - start

    return {"seconds": uvloop.run(do())}


def work(url: str, jobs: int, batch: int) -> dict[str, Any]:
    async def do() -> float:
        connection, watcher = await asyncpg.connect(url), await asyncpg.connect(url)
        queue = PgQueuer(AsyncpgDriver(connection))
        first, done, all_run = 0.0, 0, asyncio.Event()

        @queue.entrypoint("noop")
        async def noop(job: Job) -> None:
            nonlocal first, done
            first = first or now()
            done += 1
            if done == jobs:
                all_run.set()

        running = asyncio.create_task(queue.run(batch_size=batch, dequeue_timeout=timedelta(seconds=1)))
        await all_run.wait()
        # A job leaves the queue's table when its end is written, in batches, after it has run.
        while await watcher.fetchval("SELECT EXISTS (SELECT FROM pgqueuer)"):
            await asyncio.sleep(0.002)
        seconds = now() - first
        queue.shutdown.set()
        await running
        return seconds

    return {"seconds": uvloop.run(do())}


if __name__ == "__main__":
    main(prepare=prepare, enqueue=enqueue, work=work)
