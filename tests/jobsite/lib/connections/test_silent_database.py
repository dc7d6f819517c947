"""A database that falls silent is noticed, on each connection; one that is only slow is waited for."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test import Client
from psycopg.errors import QueryCanceled
from psycopg.pq import TransactionStatus

from bots.models import Bot
from jobs.api.runners import in_thread
from jobs.turns import waiting
from jobsite.lib.connections import connection as connections
from jobsite.lib.connections import limits, places, silence
from jobsite.lib.connections.connection import Connection, Silent
from tests.cast import database_url
from tests.race import PATIENCE, until
from tests.relay import Relay, relay
from tests.served import served

pytestmark = pytest.mark.django_db(transaction=True)
#: Seconds in which a call must be answered, whatever the database does.
NOTICED_WITHIN = 15


@pytest.fixture
def passing() -> Iterator[Relay]:
    with relay() as passing:
        yield passing


@pytest.fixture
def doubtful(monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks soon whether the server is there."""
    monkeypatch.setattr(silence, "DOUBT_AFTER", 0.2)
    monkeypatch.setattr(silence, "ANSWER_WITHIN", int(PATIENCE))


@pytest.fixture
def impatient(doubtful: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not wait long for the answer either."""
    monkeypatch.setattr(silence, "ANSWER_WITHIN", 2)


def calls(http: httpx.Client, token: str, key: str, session: str) -> dict[str, Callable[[], httpx.Response]]:
    """A call of each sort: a bot's turn, a producer's, a page and a probe."""
    bot, producer = {"Authorization": f"Bearer {token}"}, {"Authorization": f"Bearer {key}"}
    person = {"Cookie": f"sessionid={session}"}

    def call(
        method: str, path: str, headers: dict[str, str] | None = None, **body: Any
    ) -> Callable[[], httpx.Response]:
        return lambda: http.request(method, path, headers=headers, **body)

    return {
        "a turn": call("POST", "/api/v1/claim", bot),
        "a report": call("POST", "/api/v1/heartbeat", bot, json={}),
        "a list": call("GET", "/api/v1/jobs?limit=1", producer),
        "a page": call("GET", "/admin/jobs/job/", person),
        "a probe": call("GET", "/readyz"),
    }


def session_of(person: User) -> str:
    client = Client()
    client.force_login(person)
    return str(client.cookies["sessionid"].value)


@pytest.fixture
def http(passing: Relay, transactional_db: None) -> Iterator[httpx.Client]:
    """A client of a server behind the relay."""
    env = {"DJANGO_SETTINGS_MODULE": "tests.impatient", "DATABASE_POOL_TIMEOUT": "2"}
    with served(16, DATABASE_URL=passing.url(connect_timeout="1"), **env) as server:
        base = f"http://127.0.0.1:{server.port}"
        with httpx.Client(base_url=base, timeout=PATIENCE) as http:
            yield http


def test_every_call_is_503_while_it_is_silent_and_200_after(
    passing: Relay, http: httpx.Client, ada: Bot, ada_token: str, olga: User, olga_key: str
) -> None:
    ways = calls(http, ada_token, olga_key, session_of(olga))
    with ThreadPoolExecutor(8) as pool:

        def statuses() -> dict[str, int]:
            sent = {name: pool.submit(way) for name, way in ways.items()}
            return {name: future.result().status_code for name, future in sent.items()}

        # On a busy machine the first connections take longer to open than the pool waits.
        until(lambda: set(statuses().values()) == {200})
        passing.fall_silent()
        assert statuses() == dict.fromkeys(ways, 503)
        assert http.get("/livez").status_code == 200
        passing.speak()
        until(lambda: set(statuses().values()) == {200})


def test_the_waits_of_one_call_are_less_than_fifteen_seconds_together() -> None:
    pool = settings.DATABASES["default"]["OPTIONS"]["pool"]["timeout"]
    noticed = silence.DOUBT_AFTER + silence.ANSWER_WITHIN
    assert pool + noticed < NOTICED_WITHIN
    keepalives = connections.LIBPQ["keepalives_idle"] + 3 * connections.LIBPQ["keepalives_interval"]
    assert max(keepalives, connections.LIBPQ["tcp_user_timeout"] / 1000) < NOTICED_WITHIN
    assert waiting.ASK_INTERVAL + noticed < NOTICED_WITHIN


def test_a_command_that_waits_notices_it(passing: Relay, impatient: None) -> None:
    """Whoever connects: the sweep, the sender of alerts, the listener."""
    with Connection.connect(passing.url(), autocommit=True) as calling, ThreadPoolExecutor(1) as pool:
        calling.execute("SELECT 1")
        passing.fall_silent()
        with pytest.raises(Silent):
            pool.submit(calling.execute, "SELECT 1").result(PATIENCE)
        assert calling.closed


def test_connecting_to_a_silent_server_ends(passing: Relay) -> None:
    passing.fall_silent()
    with pytest.raises(connections.psycopg.OperationalError, match="timeout"):
        Connection.connect(passing.url(connect_timeout="1"))


def test_a_slow_statement_is_waited_for(passing: Relay, doubtful: None) -> None:
    with Connection.connect(passing.url(), autocommit=True) as calling:
        assert calling.execute("SELECT 1 FROM pg_sleep(0.8)").fetchone() == (1,)


def test_a_server_that_takes_no_more_connections_is_not_silent(
    passing: Relay, doubtful: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Connection.connect(passing.url(), autocommit=True) as calling:
        # What it answers to the inquiry: there is no such role.
        monkeypatch.setattr(calling._server, "_params", calling._server._params | {"user": "nobody_of_this_name"})
        assert calling.execute("SELECT 1 FROM pg_sleep(0.8)").fetchone() == (1,)


def test_a_requests_statement_is_stopped_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_SECONDS", 0.2)
    with connection.cursor() as cursor:
        # A command's is not.
        cursor.execute("SELECT pg_sleep(0.6)")
        with places.held_by(places.Caller(places.Kind.PERSON)), pytest.raises(OperationalError) as refused:
            cursor.execute("SELECT pg_sleep(60)")
    assert isinstance(refused.value.__cause__, QueryCanceled)


def test_a_command_that_is_stopped_while_it_watches_ends_its_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(silence, "DOUBT_AFTER", 0.1)
    monkeypatch.setattr(Connection, "_doubt", stopped)
    with Connection.connect(database_url(), autocommit=True) as one:
        with pytest.raises(KeyboardInterrupt):
            one.execute("SELECT pg_sleep(60)")
        assert one.info.transaction_status == TransactionStatus.IDLE


@pytest.mark.usefixtures("direct")
def test_each_connection_has_keepalives_and_the_server_looks_after_lost_clients() -> None:
    with connection.cursor() as cursor:
        used = cursor.connection.info.get_parameters()
        assert {name: used[name] for name in connections.LIBPQ} == {k: str(v) for k, v in connections.LIBPQ.items()}
        for name, value in connections.SERVER.items():
            if not name.startswith("tcp"):
                cursor.execute(f"SHOW {name}")
                assert cursor.fetchone()[0] in (value, "1min")


@pytest.mark.usefixtures("direct")
def test_the_url_decides_where_it_has_a_value_of_its_own(passing: Relay) -> None:
    url = passing.url(keepalives_idle="77", options="-c%20statement_timeout%3D1234")
    with Connection.connect(url, autocommit=True) as calling:
        assert calling.info.get_parameters()["keepalives_idle"] == "77"
        assert calling.execute("SHOW statement_timeout").fetchone() == ("1234ms",)
        assert calling.execute("SHOW lock_timeout").fetchone() == ("3s",)


def test_the_listener_notices_it(passing: Relay, impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_address", lambda: {"conninfo": passing.url(connect_timeout="1")})
    monkeypatch.setattr(waiting, "ASK_INTERVAL", 0.1)
    noticed = threading.Event()
    monkeypatch.setattr(waiting.logger, "warning", lambda *_: noticed.set())
    waiter = waiting.waiters.enter(None)
    assert waiter is not None
    # It listens.
    assert in_thread(waiter.woken.wait(PATIENCE))
    passing.fall_silent()
    assert noticed.wait(PATIENCE)
    passing.speak()
    waiting.waiters.leave(waiter, got_job=False)
