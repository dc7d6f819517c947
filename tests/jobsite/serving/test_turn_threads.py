"""The threads that make the calls of turns give their connections back."""

from collections.abc import Iterator

import httpx
import pytest

from bots.models import Bot
from bots.states import HealthStatus
from tests.cast import take_one
from tests.race import until
from tests.served import Served, served

pytestmark = pytest.mark.django_db(transaction=True)
TOKEN = "t" * 40


@pytest.fixture(scope="module")
def server(django_db_setup: None) -> Iterator[Served]:
    with served(METRICS_TOKEN=TOKEN, LOG_LEVEL="WARNING") as server:
        yield server


def used(port: int) -> float:
    """How many connections of the server's pool are in use, as its metrics say."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60).text
    start = 'jobsite_database_pool_connections{state="used"} '
    return sum(float(line.removeprefix(start)) for line in text.splitlines() if line.startswith(start))


def test_a_turn_whose_bot_is_graded_gives_its_connection_back(server: Served, ada: Bot, ada_token: str) -> None:
    lease = take_one(ada)
    reports = {"heartbeats": [{"id": lease.id, "attempt": lease.attempt}]}
    headers = {"Authorization": f"Bearer {ada_token}"}
    url = f"http://127.0.0.1:{server.port}/api/v1/exchange"
    before = used(server.port)
    Bot.objects.update(health_status=HealthStatus.POTENTIALLY_STUCK, stuck_job=lease.id, health_reason="silent")
    answer = httpx.post(url, headers=headers, json=reports, timeout=60)
    assert (answer.status_code, answer.json()["accepted"]) == (200, [lease.id])
    assert Bot.objects.get().health_status == HealthStatus.NORMAL
    until(lambda: used(server.port) <= before)


def test_a_turn_that_is_refused_gives_back_the_connection_that_found_its_name(
    server: Served, ada: Bot, ada_token: str
) -> None:
    headers = {"Authorization": f"Bearer {ada_token}", "Bot-Instance": "first"}
    url = f"http://127.0.0.1:{server.port}/api/v1"
    for name in ("first", "second"):
        assert httpx.post(f"{url}/hello", headers=headers, json={"instance": name}, timeout=60).status_code == 200
        headers["Bot-Instance"] = name
    before = used(server.port)
    headers["Bot-Instance"] = "first"
    answer = httpx.post(f"{url}/claim", headers=headers, json={}, timeout=60)
    assert (answer.status_code, answer.json()["code"]) == (409, "instance_replaced")
    until(lambda: used(server.port) <= before)
