"""Connections that the server ended while they were idle are replaced before anybody has one."""

import threading
import time
from collections import Counter
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest
from django.db import connection

from bots.models import Bot
from jobsite.lib.connections.base import Pool
from tests.race import PATIENCE
from tests.served import served

pytestmark = pytest.mark.django_db(transaction=True)
SIZE = 6


@pytest.fixture
def pool() -> Iterator[Pool]:
    """A pool of idle connections."""
    params = connection.get_connection_params() | {"autocommit": True}
    with Pool(kwargs=params, min_size=SIZE, max_size=SIZE, open=False) as pool:
        pool.wait(PATIENCE)
        yield pool


@pytest.fixture(scope="module")
def base(django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """Where a server listens."""
    with django_db_blocker.unblock(), served(16) as server:
        yield f"http://127.0.0.1:{server.port}"


def terminate() -> int:
    """End all connections to this database but one's own, as a failover does. Returns how many, when they are gone."""
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT array_agg(pid) FILTER (WHERE pg_terminate_backend(pid)) {others}")
        pids = cursor.fetchone()[0] or []
        end = time.monotonic() + PATIENCE
        while True:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = ANY (%s)", [pids])
            if not cursor.fetchone()[0]:
                return len(pids)
            assert time.monotonic() < end, "they did not end"


@pytest.mark.usefixtures("direct")
def test_none_of_a_whole_pool_of_dead_ones_is_given(pool: Pool) -> None:
    assert terminate() >= SIZE
    for _ in range(2 * SIZE):
        with pool.connection() as one:
            assert one.execute("SELECT 1").fetchone() == (1,)


def test_looking_at_a_connection_is_no_round_trip(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    with pool.connection() as one, monkeypatch.context() as patch:
        patch.setattr(one, "wait", None)
        assert one.is_alive()


@pytest.mark.usefixtures("direct")
def test_one_that_has_something_to_say_is_not_trusted(pool: Pool) -> None:
    """Whatever has come on an idle connection, it is not in the state in which it was returned."""
    with pool.connection() as one, connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 20000)", [one.info.backend_pid])
        assert not one.is_alive()


def test_two_farewells_in_place_of_an_answer_are_a_lost_connection(pool: Pool) -> None:
    """As psycopg tells of what PgBouncer sends when the server ends a session: a fault of its own."""

    def ended() -> Generator[Any, Any, None]:
        raise psycopg.InternalError("received 2 results from command 'BEGIN'")
        yield

    with pytest.raises(psycopg.OperationalError, match="2 results"), pool.connection() as one:
        one.wait(ended())
    assert one.closed


@pytest.mark.usefixtures("direct")
def test_after_all_have_ended_no_call_fails(base: str, ada: Bot, ada_token: str, olga_key: str) -> None:
    bot, producer = {"Authorization": f"Bearer {ada_token}"}, {"Authorization": f"Bearer {olga_key}"}
    with ThreadPoolExecutor(16) as threads, httpx.Client(timeout=PATIENCE) as http:
        # Fill the pool.
        assert {a.status_code for a in threads.map(lambda _: http.get(f"{base}/readyz"), range(32))} == {200}
        for _ in range(2):
            assert terminate() > 0
            answers = [
                http.get(f"{base}/readyz"),
                http.post(f"{base}/api/v1/claim", headers=bot),
                http.post(f"{base}/api/v1/heartbeat", headers=bot, json={}),
                http.get(f"{base}/api/v1/jobs?limit=1", headers=producer),
                http.get(f"{base}/admin/login/"),
            ]
            assert [answer.status_code for answer in answers] == [200] * 5


def test_while_they_end_again_and_again_nothing_but_503_comes(base: str, ada: Bot, bob: Bot, olga_key: str) -> None:
    over, came = threading.Event(), Counter[int]()

    def calls(token: str, method: str, path: str) -> None:
        with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE) as http:
            while not over.is_set():
                came[http.request(method, base + path).status_code] += 1

    with ThreadPoolExecutor(8) as threads:
        tokens = (ada.token, bob.token)  # type: ignore[attr-defined]
        sent = [threads.submit(calls, token, "POST", "/api/v1/claim") for token in tokens]
        sent += [threads.submit(calls, olga_key, "GET", "/api/v1/jobs?limit=1") for _ in range(2)]
        sent += [threads.submit(calls, olga_key, "GET", "/readyz")]
        try:
            for _ in range(3):
                before = came[200]
                terminate()
                end = time.monotonic() + PATIENCE
                # It goes on before the next are ended.
                while came[200] < before + 20 and time.monotonic() < end:
                    over.wait(0.01)
        finally:
            over.set()
        for future in sent:
            future.result(PATIENCE)
    assert set(came) <= {200, 503}
    assert came[200] > came[503]
