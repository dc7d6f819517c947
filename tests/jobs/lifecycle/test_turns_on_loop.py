"""A turn of an event loop: what asks the database does so in its threads, and leaves no connection with them."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest

from bots.models import Bot
from jobs import lifecycle
from jobs.lifecycle import TurnRow
from jobs.models import JobKind
from jobs.turns import notifications
from jobsite.lib.threads import Threads
from jobsite.serving.app import TURN_BYTES
from tests.cast import Lease, take_one
from tests.race import PATIENCE
from tests.served import served

pytestmark = pytest.mark.django_db(transaction=True)


def on_loop(use: Callable[[Threads], Awaitable[TurnRow]]) -> TurnRow:
    async def main() -> TurnRow:
        return await asyncio.wait_for(use(Threads(1, "test")), PATIENCE)

    with ThreadPoolExecutor(1, "loop") as own:
        return own.submit(asyncio.run, main()).result()


def fails(lease: Lease) -> Any:
    failed = f'[{{"id":{lease.id},"attempt":{lease.attempt},"error":"x"}}]'
    return lifecycle.turn_request(bytes(lease.bot.token_digest or b""), reports={"fail": failed})


def test_new_work_is_announced_in_a_thread_and_not_on_the_loop(ada: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = take_one(ada)
    JobKind.objects.filter(name="sum").update(backoff=timedelta(0))
    announced: list[tuple[str, dict[str, int]]] = []

    def announce(pending: dict[str, int]) -> None:
        announced.append((threading.current_thread().name, dict(pending)))

    monkeypatch.setattr(notifications, "announce", announce)
    row = on_loop(lambda threads: lifecycle.take_turn_on_loop(fails(lease), threads))
    assert (row.outcome, announced) == ("done", [("test-1", {"sum": 1})])


def test_a_turn_that_grades_its_bot_leaves_no_connection_in_its_thread(ada: Bot, ada_token: str) -> None:
    lease = take_one(ada)
    Bot.objects.filter(pk=ada.pk).update(stuck_job=lease.id, health_status="unhealthy")
    body = json.dumps({"heartbeats": [{"id": lease.id, "attempt": lease.attempt}]})
    # The second is read in a thread of another sort. Were the first still held, it would be refused as its repeat.
    with served(threads=1) as server:
        url, headers = f"http://127.0.0.1:{server.port}/api/v1/exchange", {"Authorization": f"Bearer {ada_token}"}
        for content in (body, body + " " * TURN_BYTES):
            answer = httpx.post(url, headers=headers, content=content, timeout=PATIENCE)
            assert (answer.status_code, answer.json()["accepted"]) == (200, [lease.id])
    ada.refresh_from_db()
    assert ada.health_status == "normal"
