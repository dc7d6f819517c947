"""The async client repeats what the sync one repeats, and nothing else."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from jobsite_client import AsyncClient, LeaseLost, Unavailable

from .conftest import TOKEN
from .fake_server import Answer, FakeServer, lease_lost


class Patient(AsyncClient):
    """A client that notes its waits and does not wait."""

    waits: tuple[float, ...] = ()

    async def _sleep(self, seconds: float) -> None:
        self.waits += (seconds,)


@pytest.fixture
def run(server: FakeServer) -> Callable[[Callable[[Patient], Awaitable[Any]]], Any]:
    """Run something with an async client; what it returns, and the waits."""

    def run(what: Callable[[Patient], Awaitable[Any]]) -> Any:
        async def within() -> Any:
            async with Patient(server.url, TOKEN) as client:
                return await what(client), client.waits

        return asyncio.run(within())

    return run


def test_a_report_is_repeated_after_the_time_that_the_server_asks_for(server: FakeServer, run: Any) -> None:
    server.answers["jobs/1/complete"] = [Answer(drop=True), Answer(status=503, headers={"Retry-After": "17"})]
    answer, waits = run(lambda client: client.complete(1, 1, 3))
    assert answer["status"] == "ok"
    assert (len(server.of("jobs/1/complete")), waits[1]) == (3, 17.0)


def test_a_claim_whose_answer_was_lost_is_not_repeated(server: FakeServer, run: Any) -> None:
    server.answers["claim"] = [Answer(drop=True)]
    with pytest.raises(Unavailable) as caught:
        run(lambda client: client.claim())
    assert caught.value.maybe_done
    assert len(server.of("claim")) == 1


def test_the_instance_of_hello_goes_with_each_later_call(server: FakeServer, run: Any) -> None:
    async def talk(client: Patient) -> Any:
        await client.hello("a-1", kinds=["sum"])
        return await client.claim(kinds=["sum"])

    server.add_job("sum", 4)
    claim, _ = run(talk)
    assert [job.payload for job in claim.jobs] == [4]
    assert server.of("claim")[0].headers["Bot-Instance"] == "a-1"


def test_a_lost_lease_is_the_same_error(server: FakeServer, run: Any) -> None:
    server.answers["jobs/1/complete"] = [lease_lost()]
    with pytest.raises(LeaseLost, match="ended"):
        run(lambda client: client.complete(1, 1))


def test_many_calls_share_one_client(server: FakeServer, run: Any) -> None:
    run(lambda client: asyncio.gather(*(client.complete(number, 1) for number in range(20))))
    assert {call.path for call in server.calls} == {f"jobs/{number}/complete" for number in range(20)}
