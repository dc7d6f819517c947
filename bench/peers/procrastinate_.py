"""Run procrastinate: an async worker with many jobs at once, and `batch_defer`. `python FILE ACTION JSON`."""

import asyncio
from typing import Any

import procrastinate
from peer import batches, main, now


def app_at(url: str, connections: int) -> procrastinate.App:
    return procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url, min_size=1, max_size=connections))


def prepare(url: str) -> dict[str, Any]:
    async def do() -> None:
        async with app_at(url, 2).open_async() as app:
            await app.schema_manager.apply_schema_async()

    asyncio.run(do())
    return {}


def enqueue(url: str, jobs: int, batch: int) -> dict[str, Any]:
    async def do() -> float:
        app = app_at(url, 2)

        @app.task(name="noop")
        async def noop(n: int) -> None:
            pass

        async with app.open_async():
            start = now()
            for size in batches(jobs, batch):
                await noop.batch_defer_async(*({"n": n} for n in range(size)))
            return now() - start

    return {"seconds": asyncio.run(do())}


def work(url: str, jobs: int, concurrency: int) -> dict[str, Any]:
    async def do() -> float:
        app = app_at(url, concurrency + 2)
        first = 0.0

        @app.task(name="noop")
        async def noop(n: int) -> None:
            nonlocal first
            first = first or now()

        async with app.open_async():
            # `wait=False`: it returns when nothing is left, and then every job's end is in the database.
            await app.run_worker_async(concurrency=concurrency, wait=False, install_signal_handlers=False)
            return now() - first

    return {"seconds": asyncio.run(do())}


if __name__ == "__main__":
    main(prepare=prepare, enqueue=enqueue, work=work)
