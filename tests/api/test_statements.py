"""How many statements the calls that fleets make all the time send to the database, by what goes over the wire."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from bots.models import Bot
from jobs.enqueue import pending
from tests.api.calls import send
from tests.cast import enqueue_one, take_one
from tests.entered import EnteringClient

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def statements(path: Path) -> Iterator[Callable[[], int]]:
    """Count what this thread's connection executes, by libpq's own trace."""
    connection.ensure_connection()
    wire = connection.connection.pgconn
    with path.open("w+") as file:
        wire.trace(file.fileno())
        try:
            yield lambda: len(re.findall(r"\tF\t\d+\t(?:Execute|Query)\t", path.read_text()))
        finally:
            wire.untrace()


def _claim(bot: Bot) -> tuple[str, dict[str, Any]]:
    enqueue_one()
    return "/claim", {}


def _exchange(bot: Bot) -> tuple[str, dict[str, Any]]:
    lease = take_one(bot)
    enqueue_one()
    return "/exchange", {"completed": [{"id": lease.id, "attempt": lease.attempt}], "claim": {}}


def _exchange_while_stuck(bot: Bot) -> tuple[str, dict[str, Any]]:
    stuck = take_one(bot)
    Bot.objects.filter(pk=bot.pk).update(stuck_job=stuck.id, health_status="unhealthy", health_reason="it is silent")
    return _exchange(bot)


def _report(verb: str) -> Callable[[Bot], tuple[str, dict[str, Any]]]:
    def build(bot: Bot) -> tuple[str, dict[str, Any]]:
        lease = take_one(bot)
        return f"/jobs/{lease.id}/{verb}", {"attempt": lease.attempt}

    return build


EXCHANGES = {"exchange": (_exchange, 1), "exchange of a bot that is stuck on another job": (_exchange_while_stuck, 1)}
CALLS = {"claim": (_claim, 1), **EXCHANGES} | {verb: (_report(verb), 2) for verb in ("start", "heartbeat", "complete")}


@pytest.mark.parametrize("name", CALLS)
def test_a_bots_call_sends_no_more_statements_than_its_work_needs(
    ada: Bot, ada_token: str, name: str, tmp_path: Path
) -> None:
    build, most = CALLS[name]
    # The first call of a process learns what the bot takes.
    for _ in range(2):
        path, body = build(ada)
        with statements(tmp_path / "wire") as count:
            answer = send(EnteringClient(), ada_token, "POST", path, body)
            sent = count()
        assert answer.status_code == 200, answer.content
    assert sent == most, (tmp_path / "wire").read_text()


def test_a_producers_call_sends_its_key_what_the_user_may_do_the_job_and_the_notification(
    ada: Bot, olga_key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue_one()
    # The first call counts what is pending. A busy machine may take so long until the next that it would count again.
    monkeypatch.setattr(pending, "SHARE", 10**9)
    # It also writes when the key was used, once a minute.
    for _ in range(2):
        with statements(tmp_path / "wire") as count:
            answer = send(EnteringClient(), olga_key, "POST", "/jobs", {"kind": "sum", "payload": {}})
            sent = count()
        assert answer.status_code == 201, answer.content
    assert sent == 4, (tmp_path / "wire").read_text()
