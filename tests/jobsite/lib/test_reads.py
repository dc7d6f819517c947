"""A read that takes the database too long is stopped, and says what to do."""

import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test import Client

from jobs.lists import index_merge
from jobs.lists.job_list import JobFilter
from jobsite.lib import reads, refusals
from jobsite.lib.connections import limits, places
from jobsite.lib.errors import TooSlow
from tests.api.calls import refused, send

pytestmark = pytest.mark.django_db(transaction=True)


def sleep(seconds: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s)", [seconds])


@pytest.fixture
def short(settings: Any) -> None:
    # To connect may take longer on a busy machine.
    connection.ensure_connection()
    settings.READ_SECONDS = 0.3


@pytest.fixture
def slow(short: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every search takes a minute."""

    def newest(*_: Any, **__: Any) -> Any:
        sleep(60)

    monkeypatch.setattr(JobFilter, "newest", newest)
    monkeypatch.setattr(index_merge, "ids", newest)


def test_a_statement_over_its_time_is_stopped_and_the_connection_is_good(short: None) -> None:
    with reads.bounded(), pytest.raises(TooSlow, match="Ask for less"):
        sleep(60)
    sleep(0)


def test_the_time_is_that_of_all_statements_together(short: None) -> None:
    with reads.bounded(), pytest.raises(TooSlow):
        for _ in range(10):
            sleep(0.2)


def test_what_is_cancelled_by_somebody_else_is_no_slow_read(short: None) -> None:
    with reads.bounded(), connection.cursor() as cursor, pytest.raises(OperationalError):
        cursor.execute("SET statement_timeout = 50")
        try:
            cursor.execute("SELECT pg_sleep(60)")
        finally:
            cursor.execute("RESET statement_timeout")


def test_no_thread_watches_what_the_connection_watches_itself(short: None) -> None:
    before = set(threading.enumerate())
    with reads.bounded():
        sleep(0.1)
        assert set(threading.enumerate()) == before


def test_the_shorter_of_both_limits_holds(db: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.READ_SECONDS = 30
    monkeypatch.setattr(limits, "MAX_SECONDS", 0.1)
    asks = places.held_by(places.Caller(places.Kind.PERSON))
    with asks, reads.bounded(), pytest.raises(OperationalError) as refused:
        sleep(60)
    assert refusals.why(refused.value) == f"This took too long and was stopped. {refusals.AGAIN}"


def test_the_time_of_a_read_ends_with_it(short: None) -> None:
    with reads.bounded():
        sleep(0.01)
    with places.held_by(places.Caller(places.Kind.PERSON)):
        sleep(0.5)


def test_without_a_bound_nothing_is_watched(settings: Any) -> None:
    settings.READ_SECONDS = 0
    with reads.bounded():
        sleep(0.01)


def test_pages_lists_and_exports_are_bounded(client: Client, olga: User, olga_key: str, slow: None) -> None:
    client.force_login(olga)
    for url in ("/admin/jobs/job/?q=x", "/admin/jobs/job/export/?format=csv"):
        answer = client.get(url)
        assert (answer.status_code, "Ask for less" in answer.content.decode()) == (400, True), url
    problem = refused(send(client, olga_key, "GET", "/jobs"), 400, "too_slow")
    assert "Ask for less" in problem["detail"]
