"""How many calls one token, and one address without a valid token, may make in a second."""

from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from django.test import Client

from bots.models import Bot
from jobsite import entry, rates
from jobsite.lib import bodies, errors
from jobsite.lib.buckets import Buckets
from jobsite.rates import BURST_SECONDS, Rates
from tests.api.calls import refused, send
from tests.cast import bot_named
from tests.served import served


def test_a_bucket_has_a_burst_and_fills_again() -> None:
    buckets = Buckets(rate=2, burst=3)
    assert [buckets.take("ada", 0.0) for _ in range(4)] == [0, 0, 0, 1]
    assert buckets.take("bob", 0.0) == 0
    assert buckets.take("ada", 0.5) == 0
    assert buckets.take("ada", 0.5) == 1
    assert [buckets.take("ada", 100.0) for _ in range(4)] == [0, 0, 0, 1]


def test_a_slow_rate_says_how_long_to_wait() -> None:
    buckets = Buckets(rate=0.1, burst=1)
    assert [buckets.take("ada", 0.0) for _ in range(2)] == [0, 10]


def test_names_that_somebody_invents_take_no_memory() -> None:
    buckets = Buckets(rate=1, burst=1, most=2)
    assert buckets.take("ada", 0.0) == 0
    for name in range(10):
        buckets.take(name, 0.0)
    # She called so long ago that she has a new bucket.
    assert buckets.take("ada", 0.0) == 0


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`limited(per_token, per_address)`: from now on, within one moment. On a busy machine a second may pass."""

    def limit(per_token: int, per_address: int) -> None:
        monkeypatch.setattr(rates, "time", SimpleNamespace(monotonic=lambda: 1000.0))
        monkeypatch.setattr(entry, "rates", Rates(per_token, per_address))

    return limit


@pytest.mark.django_db
def test_a_bot_in_a_loop_is_told_to_wait(client: Client, ada_token: str, bob_token: str, limited: Any) -> None:
    limited(1, 0)
    # Its first call shows that its token is valid.
    for _ in range(BURST_SECONDS + 1):
        assert send(client, ada_token, "POST", "/claim", {}).status_code == 200
    answer = send(client, ada_token, "POST", "/claim", {})
    problem = refused(answer, 429, "too_many_requests")
    assert "more than 1 calls a second" in problem["detail"]
    assert answer.headers["Retry-After"] == "1"
    assert send(client, bob_token, "POST", "/claim", {}).status_code == 200


@pytest.mark.django_db
def test_strangers_are_told_to_wait_and_bots_at_their_address_are_not(
    client: Client, ada: Bot, ada_token: str, limited: Any
) -> None:
    limited(0, 1)
    assert send(client, ada_token, "POST", "/claim", {}).status_code == 200
    for n in range(BURST_SECONDS):
        assert send(client, f"nobody-{n}", "POST", "/claim", {}).status_code == 401
    answer = send(client, "nobody", "POST", "/claim", {})
    refused(answer, 429, "too_many_requests")
    assert client.get("/admin/login/").status_code == 429
    assert send(client, ada_token, "POST", "/claim", {}).status_code == 200
    assert client.get("/livez").status_code == 200


@pytest.mark.django_db
def test_a_fleet_at_one_address_is_not_refused_when_the_process_starts(client: Client, limited: Any) -> None:
    tokens = [str(bot_named(f"crawler-{n}").token) for n in range(BURST_SECONDS + 5)]  # type: ignore[attr-defined]
    limited(0, 1)
    assert {send(client, token, "POST", "/claim", {}).status_code for token in tokens} == {200}


@pytest.mark.django_db
def test_what_asks_for_no_token_is_counted_for_a_token_that_nobody_asked_about(client: Client, limited: Any) -> None:
    limited(0, 1)
    statuses = [send(client, "nobody", "GET", "/nowhere").status_code for _ in range(3 * BURST_SECONDS)]
    assert statuses[0] == 404
    assert 429 in statuses


@pytest.mark.django_db
def test_a_body_that_is_refused_counts_once(client: Client, limited: Any) -> None:
    limited(0, 1)
    call: dict[str, Any] = {"HTTP_AUTHORIZATION": "Bearer nobody", bodies.REFUSED: errors.TooLarge("It is too long.")}
    statuses = [client.generic("POST", "/api/v1/claim", **call).status_code for _ in range(BURST_SECONDS + 1)]
    assert statuses == [413] * BURST_SECONDS + [429]


@pytest.mark.django_db
def test_a_revoked_token_is_a_strangers(client: Client, ada: Bot, ada_token: str, limited: Any) -> None:
    limited(0, 1)
    assert send(client, ada_token, "POST", "/claim", {}).status_code == 200
    Bot.objects.update(token_digest=None)
    statuses = [send(client, ada_token, "POST", "/claim", {}).status_code for _ in range(BURST_SECONDS + 2)]
    assert statuses[0] == 401
    assert statuses[-1] == 429


@pytest.mark.django_db
def test_a_token_is_not_valid_because_a_public_page_was_answered(client: Client, limited: Any) -> None:
    limited(0, 1)
    assert send(client, "nobody", "GET", "/openapi.json").status_code == 200
    statuses = [send(client, "nobody", "POST", "/claim", {}).status_code for n in range(3 * BURST_SECONDS)]
    assert statuses[0] == 401
    assert 429 in statuses


@pytest.mark.django_db(transaction=True)
def test_the_rates_are_settings_of_the_server() -> None:
    with served(RATE_PER_ADDRESS="1") as server:
        url = f"http://127.0.0.1:{server.port}/api/v1/stuck"
        statuses = [httpx.get(url).status_code for _ in range(BURST_SECONDS * 5)]
    assert statuses[0] == 401
    assert 429 in statuses
