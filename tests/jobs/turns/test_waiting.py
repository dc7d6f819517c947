"""A claim may wait: it is woken by new work, holds no connection meanwhile, and is answered when the server goes."""

import itertools
import json
import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from bots import roster
from bots.models import Bot
from jobs import lifecycle
from jobs.api.runners import in_thread
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.lifecycle import By
from jobs.models import JobKind
from jobs.turns import notifications, waiting
from jobs.turns.notifications import ANY_KIND
from jobs.turns.waiting import Waiters
from tests.api.calls import send
from tests.cast import bot_named, database_url, enqueue_one, take_one
from tests.race import PATIENCE, until
from tests.served import served

ROOT = Path(__file__).resolve().parents[3]
#: For the metrics.
TOKEN = "t" * 40


# --- Who is woken -------------------------------------------------------------------------------------------------


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Waiters:
    """A line of waiters that nobody wakes but the test."""
    monkeypatch.setattr(Waiters, "_listen", lambda self: None)
    return Waiters()


def woken(waiters: list[Any]) -> list[bool]:
    return [waiter.woken.is_set() for waiter in waiters]


def test_as_many_are_woken_as_there_are_new_jobs_and_the_longest_waiting_first(line: Waiters) -> None:
    waiters = [line.enter(None) for _ in range(4)]
    line.wake({"sum": 2})
    assert woken(waiters) == [True, True, False, False]
    line.wake({"sum": 1})
    assert woken(waiters) == [True, True, True, False]


def test_only_those_who_take_the_kind_are_woken(line: Waiters) -> None:
    waiters = [line.enter(kinds) for kinds in (("divide",), ("sum", "divide"), None)]
    line.wake({"sum": 9})
    assert woken(waiters) == [False, True, True]
    line.wake({ANY_KIND: 9})
    assert woken(waiters) == [True, True, True]


def test_who_finds_work_wakes_the_next_and_who_gives_up_hands_the_news_on(line: Waiters) -> None:
    first, second, third = (line.enter(None) for _ in range(3))
    assert first and second and third
    line.leave(first, got_job=True)
    assert woken([second, third]) == [True, False]
    line.leave(second, got_job=False)
    assert woken([third]) == [True]


def test_pollers_are_one_of_each_set_of_kinds_and_take_turns(line: Waiters) -> None:
    waiters = [line.enter(kinds) for kinds in (None, None, ("sum",), ("sum",))]
    line.wake_pollers()
    assert woken(waiters) == [True, False, True, False]
    assert waiters[0] and in_thread(line.wait(waiters[0], 0))
    line.wake_pollers()
    assert woken(waiters) == [False, True, True, True]


def test_no_more_wait_than_may_and_none_once_it_is_closed(line: Waiters, settings: Any) -> None:
    settings.MAX_WAITERS = 1
    assert line.enter(None) is not None
    assert line.enter(None) is None
    settings.MAX_WAITERS = 9
    line.close()
    assert line.enter(None) is None


def test_calls_that_hold_a_thread_leave_some_for_others(line: Waiters, settings: Any) -> None:
    settings.MAX_WAITERS, settings.WEB_THREADS = 100, 5
    waiters = [line.enter(None) for _ in range(5)]
    assert [waiter is not None for waiter in waiters] == [True] * 4 + [False]


def test_one_bot_does_not_hold_every_place(line: Waiters, settings: Any) -> None:
    settings.MAX_WAITERS, settings.MAX_WAITERS_PER_BOT = 3, 2
    first = line.enter(None, 1)
    assert first is not None
    assert line.enter(None, 1) is not None
    assert line.enter(None, 1) is None
    assert line.enter(None, 2) is not None
    line.leave(first, got_job=False)
    assert line.enter(None, 1) is not None


def test_all_waiters_of_a_recalled_bot_are_woken_and_those_of_an_instance(line: Waiters) -> None:
    waiters = [line.enter(None, bot, instance=name) for bot, name in ((1, "a"), (1, "b"), (2, "a"), (2, "b"))]
    line.recall({1}, {(2, "b")})
    assert woken(waiters) == [True, True, False, True]


@pytest.mark.django_db(transaction=True)
def test_where_no_notification_comes_those_are_woken_whose_instances_ended_or_must_restart(
    line: Waiters, ada: Bot, bob: Bot, olga: User
) -> None:
    for name in ("ended", "current"):
        lifecycle.hello(ada, instance=name, identity=name)
    lifecycle.hello(bob, instance="current", identity="current")
    waiters = [
        line.enter(None, bot.pk, instance=name) for bot, name in ((ada, "ended"), (ada, "current"), (bob, "current"))
    ]
    lifecycle.goodbye(ada, "ended")
    line.recall_missed()
    assert woken(waiters) == [True, False, False]
    lifecycle.restart(Bot.objects.filter(pk=bob.pk), by=By.operator(olga))
    line.recall_missed()
    assert woken(waiters) == [True, False, True]


# --- What it is to bots -------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/claim", "/exchange"])
def test_beyond_the_limit_the_answer_comes_at_once_and_says_when_to_come_again(
    client: Client, ada: Bot, ada_token: str, settings: Any, path: str
) -> None:
    settings.MAX_WAITERS = 0
    body = {"wait": 30} if path == "/claim" else {"claim": {"wait": 30}}
    answer = send(client, ada_token, "POST", path, body)
    assert (answer.status_code, answer.json()["jobs"]) == (200, [])
    assert int(answer["Retry-After"]) == waiting.RETRY_AFTER
    # There is something: nobody waits.
    enqueue_one()
    assert len(send(client, ada_token, "POST", path, body).json()["jobs"]) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("why", ["paused", "full"])
def test_a_bot_that_would_get_nothing_whatever_came_does_not_wait(client: Client, why: str) -> None:
    eve = bot_named("eve", capacity=1)
    take_one(eve)
    if why == "paused":
        Bot.objects.filter(pk=eve.pk).update(paused=True, capacity=None)
    answer = send(client, str(eve.token), "POST", "/claim", {"wait": 30})  # type: ignore[attr-defined]
    assert (answer.json()["jobs"], int(answer["Retry-After"])) == ([], waiting.RETRY_AFTER)


@pytest.fixture
def calls(live_server: Any) -> Iterator[Any]:
    """`calls(token, path, body, **headers)`: a call on its way, in a thread of its own."""
    with ThreadPoolExecutor(16) as pool:

        def call(token: str, path: str, body: dict[str, Any], **more: str) -> Any:
            headers = {"Authorization": f"Bearer {token}", **more}
            url = f"{live_server.url}/api/v1{path}"
            return pool.submit(httpx.post, url, headers=headers, json=body, timeout=60)

        yield call


def waits(n: int) -> None:
    """Until so many wait in this process."""
    until(lambda: len(waiting.waiters) == n)


@pytest.mark.django_db(transaction=True)
def test_who_waits_gets_the_job_that_comes(calls: Any, ada: Bot, ada_token: str) -> None:
    answer = calls(ada_token, "/claim", {"wait": 30})
    waits(1)
    assert not answer.done()
    job = enqueue_one(payload={"n": 1})
    (got,) = answer.result(PATIENCE).json()["jobs"]
    assert (got["id"], got["payload"]) == (job.pk, {"n": 1})


@pytest.mark.django_db(transaction=True)
def test_of_two_who_wait_one_gets_the_job_and_the_other_waits_on(calls: Any, ada_token: str, bob_token: str) -> None:
    one, two = calls(ada_token, "/claim", {"wait": 30}), calls(bob_token, "/exchange", {"claim": {"wait": 30}})
    waits(2)
    enqueue_one()
    until(lambda: one.done() or two.done())
    waits(1)
    enqueue_one()
    assert [len(answer.result(PATIENCE).json()["jobs"]) for answer in (one, two)] == [1, 1]


@pytest.mark.django_db(transaction=True)
def test_what_is_released_retried_resumed_or_becomes_due_is_found(
    calls: Any, ada: Bot, bob: Bot, bob_token: str, olga: User
) -> None:
    lease = take_one(ada)
    by = By.operator(olga)

    def comes_by(doing: Any) -> None:
        answer = calls(bob_token, "/claim", {"wait": 30})
        waits(1)
        doing()
        (got,) = answer.result(PATIENCE).json()["jobs"]
        lifecycle.cancel([got["id"]], by=by)

    comes_by(lambda: lifecycle.release([lease.id], by=by))
    comes_by(lambda: lifecycle.retry([lease.id], by=by))
    soon = datetime.now(UTC) + timedelta(seconds=0.5)
    comes_by(lambda: insert.enqueue([NewJob("sum", {}, run_at=soon)]))
    JobKind.objects.filter(name="sum").update(paused=True)
    enqueue_one()
    comes_by(lambda: JobKind.objects.filter(name="sum").update(paused=False))


@pytest.mark.django_db(transaction=True)
def test_what_failed_in_a_turn_and_is_due_again_at_once_is_found(
    calls: Any, ada: Bot, ada_token: str, bob_token: str
) -> None:
    lease = take_one(ada)
    JobKind.objects.filter(name="sum").update(backoff=timedelta(0))
    answer = calls(bob_token, "/claim", {"wait": 30})
    waits(1)
    calls(ada_token, "/exchange", {"failed": [{"id": lease.id, "attempt": 1, "error": "x"}]}).result(PATIENCE)
    (got,) = answer.result(PATIENCE).json()["jobs"]
    assert (got["id"], got["attempt"]) == (lease.id, 2)


@pytest.mark.usefixtures("direct")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("backoff", "news"), [(0, [{ANY_KIND: 1}, {"sum": 1}]), (60, [])])
@pytest.mark.parametrize("call", ["/exchange", "/jobs/{}/fail"])
def test_what_failed_is_news_when_it_is_due_at_once(
    client: Client, ada: Bot, ada_token: str, backoff: int, news: list[dict[str, int]], call: str
) -> None:
    lease = take_one(ada)
    JobKind.objects.filter(name="sum").update(backoff=timedelta(seconds=backoff))
    failed = {"attempt": lease.attempt, "error": "x"}
    with psycopg.connect(database_url(), autocommit=True) as listening:
        listening.execute(f"LISTEN {notifications.PENDING}")
        body = {"failed": [{"id": lease.id} | failed]} if call == "/exchange" else failed
        assert send(client, ada_token, "POST", call.format(lease.id), body).status_code == 200
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, 'the end')", [notifications.PENDING])
        heard = list(itertools.takewhile(lambda text: text != "the end", (n.payload for n in listening.notifies())))
    assert [json.loads(text) in news for text in heard] == [True] * bool(news)


@pytest.mark.usefixtures("direct")
@pytest.mark.django_db(transaction=True)
def test_who_was_there_before_the_listener_looks_when_it_has_begun_to_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    # No other look comes: what wakes the waiter is that one.
    monkeypatch.setattr(waiting, "POLL_INTERVAL", 4 * PATIENCE)
    waiter = waiting.waiters.enter(None)
    assert waiter is not None
    assert in_thread(waiting.waiters.wait(waiter, PATIENCE))
    waiting.waiters.close()
    # So that the listener sees that it is over.
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '{}')", [notifications.PENDING])


@pytest.mark.django_db(transaction=True)
def test_reports_hold_at_once_though_the_claim_waits(calls: Any, ada: Bot, ada_token: str) -> None:
    lease = take_one(ada)
    body = {"completed": [{"id": lease.id, "attempt": 1}], "claim": {"wait": 30}}
    answer = calls(ada_token, "/exchange", body)
    waits(1)
    assert lease.job.status == "succeeded"
    enqueue_one()
    assert answer.result(PATIENCE).json()["accepted"] == [lease.id]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/claim", "/exchange"])
@pytest.mark.parametrize("act", ["revoke", "rotate", "pause"])
def test_a_token_that_is_not_good_any_more_gets_no_job_though_it_waited(
    calls: Any, ada: Bot, ada_token: str, path: str, act: str
) -> None:
    answer = calls(ada_token, path, {"wait": 30} if path == "/claim" else {"claim": {"wait": 30}})
    waits(1)
    if act == "rotate":
        roster.rotate(ada)
    else:
        getattr(roster, act)(Bot.objects.filter(pk=ada.pk))
    job = enqueue_one()
    said = answer.result(PATIENCE)
    assert (said.status_code, said.json()["jobs"], said.json()["paused"]) == (200, [], act == "pause")
    job.refresh_from_db()
    assert job.status == "pending"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("end", ["goodbye", "newer", "restart"])
def test_the_claim_of_an_instance_that_ends_or_must_restart_is_answered_while_another_waits_on(
    calls: Any, ada: Bot, ada_token: str, olga: User, end: str
) -> None:
    lifecycle.hello(ada, instance="first", identity="pod-1")
    answer = calls(ada_token, "/claim", {"wait": 30}, **{"Bot-Instance": "first"})
    waits(1)
    if end == "goodbye":
        lifecycle.goodbye(ada, "first")
    elif end == "newer":
        lifecycle.hello(ada, instance="second", identity="pod-1")
    else:
        lifecycle.restart(Bot.objects.filter(pk=ada.pk), by=By.operator(olga))
    got = answer.result(PATIENCE)
    assert (got.status_code, got.json()["jobs"], got.json()["restart"]) == (200, [], end == "restart")
    assert "Retry-After" not in got.headers


@pytest.mark.django_db(transaction=True)
def test_the_goodbye_ends_a_claim_that_waits_at_another_web_process(ada: Bot, ada_token: str) -> None:
    lifecycle.hello(ada, instance="first")
    with served() as server, ThreadPoolExecutor(1) as pool:
        url, headers = f"http://127.0.0.1:{server.port}/api/v1/claim", {"Authorization": f"Bearer {ada_token}"}
        headers["Bot-Instance"] = "first"
        answer = pool.submit(httpx.post, url, headers=headers, json={"wait": 30}, timeout=60)
        until(lambda: listeners() == 1)
        assert not answer.done()
        lifecycle.goodbye(ada, "first")
        # Either it waited, or it was still on its way.
        assert answer.result(PATIENCE).status_code in (200, 409)


@pytest.mark.django_db(transaction=True)
def test_the_time_to_wait_ends(calls: Any, ada: Bot, ada_token: str) -> None:
    answer = calls(ada_token, "/claim", {"wait": 0.2}).result(PATIENCE)
    assert (answer.status_code, answer.json()["jobs"], "Retry-After" in answer.headers) == (200, [], False)


@pytest.mark.usefixtures("direct")
@pytest.mark.django_db(transaction=True)
def test_a_server_that_shuts_down_answers_those_who_wait(ada: Bot, ada_token: str) -> None:
    with served() as server, ThreadPoolExecutor(1) as pool:
        url, headers = f"http://127.0.0.1:{server.port}/api/v1/claim", {"Authorization": f"Bearer {ada_token}"}
        answer = pool.submit(httpx.post, url, headers=headers, json={"wait": 30}, timeout=60)
        until(lambda: listeners() == 1)
        # It may still be on its way into the line.
        assert not answer.done()
        os.kill(server.pid, signal.SIGTERM)
        said = answer.result(PATIENCE)
        assert (said.status_code, said.json()["jobs"]) == (200, [])
        assert int(said.headers["Retry-After"]) >= 1
        psutil.wait_procs([psutil.Process(server.pid)], PATIENCE)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/claim", "/exchange"])
def test_a_client_that_hung_up_while_it_waited_gets_no_job(ada_token: str, bob: Bot, path: str) -> None:
    with served(METRICS_TOKEN=TOKEN) as server:
        hung_up = [waiting_call(server.port, ada_token, path) for _ in range(5)]
        until(lambda: waits_in(server.port) == 5)
        for connection_ in hung_up:
            connection_.close()
        until(lambda: waits_in(server.port) == 0)
        job = enqueue_one()
        # It would have been claimed before that of a call which comes after it.
        url, headers = f"http://127.0.0.1:{server.port}/api/v1{path}", {"Authorization": f"Bearer {ada_token}"}
        body = {"wait": 20} if path == "/claim" else {"claim": {"wait": 20}}
        (got,) = httpx.post(url, headers=headers, json=body, timeout=PATIENCE).json()["jobs"]
        assert (got["id"], got["attempt"]) == (job.pk, 1)


@pytest.mark.django_db(transaction=True)
def test_calls_that_wait_hold_no_thread(ada_token: str, bob_token: str) -> None:
    with served(threads=1, METRICS_TOKEN=TOKEN) as server:
        waiters = [waiting_call(server.port, ada_token, "/claim") for _ in range(8)]
        until(lambda: waits_in(server.port) == 8)
        url, headers = f"http://127.0.0.1:{server.port}/api/v1/heartbeat", {"Authorization": f"Bearer {bob_token}"}
        assert httpx.post(url, headers=headers, timeout=PATIENCE).status_code == 200
        for waiter in waiters:
            waiter.close()


def waiting_call(port: int, token: str, path: str) -> socket.socket:
    """A claim on its way, which waits for a job."""
    body = json.dumps({"wait": 30} if path == "/claim" else {"claim": {"wait": 30}})
    sent = socket.create_connection(("127.0.0.1", port), PATIENCE)
    head = f"POST /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
    sent.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    return sent


def waits_in(port: int) -> float:
    """How many calls wait in the server, as its metrics say."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", headers=headers, timeout=PATIENCE).text
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("jobsite_waiters "))


def listeners() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%%'"
        )
        return int(cursor.fetchone()[0])
