"""The sync and the async client of the Python library against a real server, by the same steps."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from bots import roster
from jobs import lifecycle
from jobs.lifecycle import By
from jobs.models import Job
from jobsite_client import AsyncClient, Client, JobsiteError
from jobsite_client.answers import JobIn
from tests.served import Served, served

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def server(django_db_setup: None) -> Iterator[Served]:
    with served() as server:
        yield server


class Awaited:
    """An async client that is called as a sync one is: each call runs to its end."""

    def __init__(self, client: AsyncClient, runner: asyncio.Runner) -> None:
        self._client = client
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        async def collected(items: AsyncIterator[Any]) -> list[Any]:
            return [item async for item in items]

        def call(*args: Any, **options: Any) -> Any:
            what = getattr(self._client, name)(*args, **options)
            return self._runner.run(collected(what) if hasattr(what, "__aiter__") else what)

        return call


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest, server: Served, olga: User) -> Iterator[Any]:
    url, key = f"http://127.0.0.1:{server.port}", roster.create_key(olga)[1]
    if request.param == "sync":
        with Client(url, key) as client:
            yield client
    else:
        with asyncio.Runner() as runner:
            async_client = AsyncClient(url, key)
            yield Awaited(async_client, runner)
            runner.run(async_client.aclose())


def test_a_job_comes_back_with_its_moments_as_datetimes(client: Any) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    job = client.enqueue("sum", {"n": 1}, run_at=later, key="k")
    assert (job["outcome"], job["run_at"], job["started_at"]) == ("created", later, None)
    assert client.enqueue("sum", key="k")["outcome"] == "existing"
    assert client.job(job["id"])["created_at"] == job["created_at"]
    assert client.explain(job["id"])["job"] == job["id"]
    client.cancel_job(job["id"], "not needed")
    (event,) = client.events(job["id"])
    assert (event["verb"], event["reason"], type(event["at"])) == ("cancel", "not needed", datetime)


def test_a_list_is_iterated_over_to_its_last_page(client: Any) -> None:
    client.enqueue_bulk(JobIn(kind="sum", payload=n) for n in range(205))
    assert [job["payload"] for job in client.jobs(kind="sum")] == list(range(205))[::-1]
    assert [job["payload"] for job in client.jobs(limit=3)] == [204, 203, 202]
    assert list(client.jobs(limit=0)) == []
    assert list(client.jobs(status="failed")) == []


def test_a_stream_is_enqueued_as_one(client: Any) -> None:
    moment = datetime(2040, 1, 2, tzinfo=UTC)
    outcome = client.enqueue_stream(JobIn(kind="sum", payload="x" * 500, run_at=moment) for _ in range(2500))
    assert (outcome["created"], len(outcome["ids"])) == (2500, 2500)
    assert Job.objects.filter(run_at=moment).count() == 2500


def test_a_bad_line_of_a_stream_is_named_or_left_out(client: Any) -> None:
    jobs = [JobIn(kind="sum"), JobIn(kind=""), JobIn(kind="sum")]
    with pytest.raises(JobsiteError) as refused:
        client.enqueue_stream(jobs)
    assert [error["line"] for error in refused.value.body["errors"]] == [2]
    assert client.enqueue_stream(jobs, skip_bad=True)["bad"] == 1
    assert Job.objects.count() == 2


def test_a_stream_that_breaks_off_in_the_users_code_enqueues_nothing(client: Any) -> None:
    def jobs() -> Iterator[JobIn]:
        yield from (JobIn(kind="sum", payload="x" * 500) for _ in range(2500))
        raise LookupError("no more of them")

    with pytest.raises(LookupError, match="no more"):
        client.enqueue_stream(jobs())
    assert not Job.objects.exists()


def test_an_ended_job_is_waited_for_and_a_time_over_is_an_error(client: Any, olga: User) -> None:
    job = client.enqueue("sum")["id"]
    with pytest.raises(TimeoutError, match="pending after 0 s"):
        client.wait_for_job(job, seconds=0)
    lifecycle.cancel([job], by=By.operator(olga))
    assert client.wait_for_job(job)["status"] == "cancelled"


def test_jobs_are_deleted_by_their_filters(client: Any) -> None:
    client.enqueue_bulk([JobIn(kind="sum"), JobIn(kind="mail")])
    assert client.delete_jobs(kind="mail", dry_run=True)["deleted"] == 1
    assert client.delete_jobs(kind=["mail"], status="pending", reason="asked for")["deleted"] == 1
    assert [job["kind"] for job in client.jobs()] == ["sum"]


def test_each_act_has_its_reason_in_the_audit_log(client: Any) -> None:
    bot = client.register_bot("ada", kinds=["sum"], expected=False)
    client.expect_bot(bot["id"], reason="it reports each day")
    client.pause_bot(bot["id"], reason="maintenance", until=datetime.now(UTC) + timedelta(hours=1))
    client.resume_bot(bot["id"], reason="it is done")
    client.restart_bot(bot["id"], reason="a new version")
    reasons = [entry["reason"] for entry in client.audit(object="bot", object_id=bot["id"])]
    assert reasons[:4] == ["a new version", "it is done", "maintenance", "it reports each day"]
    assert client.bot(bot["id"])["expected"] is True


def test_a_refusal_is_an_error_with_its_code(client: Any) -> None:
    with pytest.raises(JobsiteError) as refused:
        client.job(10**9)
    assert (refused.value.status, refused.value.code) == (404, "not_found")
    with pytest.raises(ValueError, match="run_at needs a time zone"):
        client.enqueue("sum", run_at=datetime(2040, 1, 2))
