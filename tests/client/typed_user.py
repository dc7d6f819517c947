"""What mypy knows of a user's code: `make test` runs it over this module. Nothing of it is run."""

from datetime import datetime
from typing import Any, assert_type

from jobsite_client import AsyncClient, Client
from jobsite_client.answers import Added, ChangeOut, EnqueuedOut, JobOut
from jobsite_client.pages import AsyncPages, Pages


def sync(client: Client) -> None:
    job = client.enqueue("resize", {"image": "a.png"}, key="a")
    assert_type(job, EnqueuedOut)
    assert_type(job["outcome"], Added)
    assert_type(job["started_at"], datetime | None)
    assert_type(client.cancel_job(job["id"], reason="not needed"), ChangeOut)
    assert_type(client.jobs(status="failed"), Pages[JobOut])
    client.enqueue_bulk({"kind": "resize", "payload": {"image": name}, "key": name} for name in "abc")
    client.cancel_job(7, raeson="not needed")  # type: ignore[call-arg]
    client.jobs(status="broken")  # type: ignore[arg-type]
    client.enqueue_bulk([{"kind": "resize", "keys": "a"}])  # type: ignore[typeddict-unknown-key]
    job["ended_at"]  # type: ignore[misc]


async def asynchronous(client: AsyncClient) -> None:
    assert_type(await client.enqueue("resize"), EnqueuedOut)
    assert_type(client.jobs(), AsyncPages[JobOut])
    assert_type([job["result"] async for job in client.jobs()], list[Any])
    client.enqueue("resize")["id"]  # type: ignore[index]
