"""Through a PgBouncer in transaction mode everything works without a setting."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest
from django.db import connection, transaction

from bots.models import Bot
from jobs.api.runners import in_thread
from jobs.models import Job
from jobs.states import JobStatus
from jobs.turns import waiting
from jobsite.dev import pgbouncer
from jobsite.lib.connections.base import Pool
from tests.cast import database_url, enqueue_one, take_one
from tests.race import PATIENCE
from tests.served import served

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not pgbouncer.is_installed(), reason="PgBouncer (Debian: pgbouncer) is not installed"),
]
CALLS = 60


@pytest.fixture(scope="module")
def url(django_db_setup: None) -> Iterator[str]:
    """The tests' database, through PgBouncer."""
    if not str(connection.get_connection_params().get("host", "")).startswith("/"):
        pytest.skip("this server has no socket")
    with pgbouncer.through_pgbouncer(database_url()) as url:
        yield url


@pytest.fixture(scope="module")
def base(url: str, django_db_blocker: Any) -> Iterator[str]:
    """The API of a server that uses it."""
    with django_db_blocker.unblock(), served(16, DATABASE_URL=url) as server:
        yield f"http://127.0.0.1:{server.port}/api/v1"


@pytest.fixture
def pool(url: str) -> Iterator[Pool]:
    params = {"prepare_threshold": 1, "autocommit": True}
    with Pool(conninfo=url, kwargs=params, min_size=1, max_size=4, open=False) as pool:
        yield pool


def test_every_call_of_bots_and_producers_is_answered(base: str, ada: Bot, bob: Bot, olga_key: str) -> None:
    """On as many connections as there are, each transaction on another of the server's."""
    for _ in range(CALLS):
        enqueue_one()
    bots = [{"Authorization": f"Bearer {bot.token}"} for bot in (ada, bob)]  # type: ignore[attr-defined]
    with ThreadPoolExecutor(8) as threads, httpx.Client(timeout=60) as http:

        def work(number: int) -> list[int]:
            headers = bots[number % 2]
            claimed = http.post(f"{base}/claim", headers=headers)
            statuses = [claimed.status_code]
            for job in claimed.json().get("jobs", ()):
                done = http.post(f"{base}/jobs/{job['id']}/complete", headers=headers, json={"attempt": job["attempt"]})
                statuses.append(done.status_code)
            key = {"Authorization": f"Bearer {olga_key}"}
            return [*statuses, http.get(f"{base}/jobs?limit=2", headers=key).status_code]

        came = Counter(status for statuses in threads.map(work, range(CALLS)) for status in statuses)
    assert came == {200: 3 * CALLS}
    assert Job.objects.filter(status=JobStatus.SUCCEEDED).count() == CALLS


def test_it_is_noticed_when_a_connection_is_made(pool: Pool) -> None:
    with pool.connection() as one:
        assert (one.pooled, one.prepare_threshold) == (True, None)
    assert connection.connection is None or not connection.connection.pooled


def test_an_operator_may_say_that_it_prepares_statements(pool: Pool, settings: object) -> None:
    settings.DATABASE_PREPARE = True  # type: ignore[attr-defined]
    with pool.connection() as one:
        assert (one.pooled, one.prepare_threshold) == (True, 1)


def test_a_locked_row_is_waited_for_no_longer_than_on_a_direct_connection(base: str, ada: Bot, olga_key: str) -> None:
    lease = take_one(ada)
    with transaction.atomic():
        Job.objects.select_for_update().get(pk=lease.id)
        answer = httpx.post(
            f"{base}/jobs/{lease.id}/release",
            headers={"Authorization": f"Bearer {olga_key}"}, json={}, timeout=PATIENCE,
        )  # fmt: skip
    assert answer.status_code == 503
    assert f"Job {lease.id} is locked just now" in answer.json()["detail"]


def test_what_is_set_for_a_statement_stays_in_its_transaction(pool: Pool) -> None:
    """A command's, too: the sweep, and `migrate` with a bound of its own."""
    with pool.connection() as one:
        assert one.execute("SHOW lock_timeout").fetchone() == ("3s",)
        one.lock_timeout = "200ms"
        assert one.execute("SHOW lock_timeout").fetchone() == ("200ms",)
        assert psycopg.Cursor(one).execute("SHOW lock_timeout").fetchone() == ("0",)


def test_what_cannot_be_in_a_transaction_is_in_none(pool: Pool) -> None:
    with pool.connection() as one:
        one.execute("CREATE INDEX CONCURRENTLY pooled_try ON jobs_jobkind (paused)")
        one.execute("DROP INDEX CONCURRENTLY pooled_try")
        one.execute("VACUUM jobs_jobkind")


def test_the_listener_polls(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notification would come to any client's connection but its own."""
    monkeypatch.setattr(waiting, "_address", lambda: {"conninfo": url})
    lines: list[str] = []
    monkeypatch.setattr(waiting.logger, "warning", lambda text, *_: lines.append(text))
    with contextlib.ExitStack() as stack:
        waiter = waiting.waiters.enter(None)
        assert waiter is not None
        stack.callback(waiting.waiters.leave, waiter, got_job=False)
        assert in_thread(waiter.woken.wait(PATIENCE))
    assert any("set LISTEN_DATABASE_URL" in line for line in lines)
