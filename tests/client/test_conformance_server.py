"""The server of the conformance suite answers as the real one does: both get the same calls."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from bots import roster
from bots.models import Bot
from jobs import lifecycle
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.lifecycle import By
from jobsite_client.conformance.queue import ECHO, KINDS
from jobsite_client.conformance.server import NEW_FIELD, Server
from tests.cast import bot_named

pytestmark = pytest.mark.django_db
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z")
#: Fields with words for people, and what is of one installation.
VARIES = {"detail", "errors", "title", "type", "warnings", "bot_id", "reason", "lease_for"}
#: Fields with ids of jobs.
JOBS = {"id", "job_id", "accepted", "cancel", "released"}


@dataclass
class Side:
    """One of the two servers: calls go by HTTP, and what operators do by its own means."""

    send: Callable[[str, str, bytes, dict[str, str]], tuple[int, Any]]
    enqueue: Callable[[], int]
    cancel: Callable[[int], object]
    release: Callable[[int], object]
    restart: Callable[[], object]
    pause: Callable[[bool], object]
    seen: list[Any] = field(default_factory=list)
    jobs: list[int] = field(default_factory=list)
    first: int = 0

    def add(self) -> int:
        self.jobs.append(self.enqueue())
        return self.jobs[-1]

    def call(self, path: str, body: Any = None, instance: str = "", method: str = "POST", **headers: str) -> Any:
        """Make a call, and remember its status and all fields."""
        headers |= {"Bot-Instance": instance} if instance else {}
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        status, found = self.send(method, f"/api/v1/{path}", data, headers)
        self.first = self.first or (found.get("jobs") or [{"attempt": 0}])[0]["attempt"]
        self.seen.append((len(self.seen), method, re.sub(r"\d+", "N", path), status, self.plain(found)))
        return found

    def claim(self, instance: str = "", **more: Any) -> tuple[int, int]:
        (job,) = self.call("claim", more or None, instance)["jobs"]
        return job["id"], job["attempt"]

    def report(self, verb: str, lease: tuple[int, int], instance: str = "", **more: Any) -> Any:
        return self.call(f"jobs/{lease[0]}/{verb}", {"attempt": lease[1], **more}, instance)

    def plain(self, value: Any, name: str = "") -> Any:
        """The value without what may differ: ids and attempts are counted from the first."""
        if name in VARIES:
            return type(value).__name__
        if isinstance(value, dict):
            known = {key: one for key, one in value.items() if key not in NEW_FIELD}
            return {key: self.plain(known[key], key) for key in sorted(known)}
        if name in ("lost", "cancel") and isinstance(value, list) and value and isinstance(value[0], list):
            return [[self.plain(job, "id"), self.plain(attempt, "attempt")] for job, attempt in value]
        if isinstance(value, list):
            return [self.plain(one, name) for one in value]
        if isinstance(value, str) and MOMENT.match(value):
            return "a moment"
        if name == "attempt":
            return value - self.first
        if name in JOBS and value in self.jobs and not isinstance(value, bool):
            return f"job {self.jobs.index(value)}"
        return value


@pytest.fixture
def suite() -> Iterator[Side]:
    """The conformance suite's server."""
    with Server() as server:

        def send(method: str, path: str, data: bytes, headers: dict[str, str]) -> tuple[int, Any]:
            sent = {"authorization": f"Bearer {server.token}"} | {name.lower(): text for name, text in headers.items()}
            call, _ = server.answer(method, path, sent, data)
            assert call.status
            return call.status, call.answer

        queue = server.queue
        yield Side(
            send,
            enqueue=lambda: server.add(ECHO, {"n": 1}).id,
            cancel=lambda job: queue.cancel(queue.jobs[job]),
            release=lambda job: queue.release(queue.jobs[job]),
            restart=queue.ask_restart,
            pause=lambda yes: setattr(queue, "paused", yes),
        )


@pytest.fixture
def real(olga: User) -> Side:
    """The real server, with the same bot."""
    bot = bot_named("bot", kinds=sorted(KINDS))
    client = Client()
    these, by = Bot.objects.filter(pk=bot.pk), By.operator(olga)

    def send(method: str, path: str, data: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        sent = {"Authorization": f"Bearer {bot.token}"} | headers  # type: ignore[attr-defined]
        answer = client.generic(method, path, data, "application/json", headers=sent)
        return answer.status_code, answer.json()

    return Side(
        send,
        enqueue=lambda: insert.enqueue([NewJob(ECHO, {"n": 1})])[0][0],
        cancel=lambda job: lifecycle.cancel([job], by=by),
        release=lambda job: lifecycle.release([job], by=by),
        restart=lambda: lifecycle.restart(these, by=by),
        pause=lambda yes: roster.pause(these) if yes else roster.resume(these),
    )


# --- What a bot does, and what goes wrong -----------------------------------------------------------------------------


def malformed(side: Side) -> None:
    job = side.add()
    side.call("claim", Authorization="Bearer jsb_nobody")
    side.call("claim", {}, method="GET")
    side.call("nothing")
    side.call(f"jobs/{job}/finish")
    side.call("claim", b"{")
    for body in ({}, {"instance": ""}, {"instance": 7}, {"instance": "a", "identity": "b", "alone": False}):
        side.call("hello", body)
    for body in (
        {"limit": 0},
        {"limit": "1"},
        {"limit": True},
        {"wait": 31},
        {"kinds": ECHO},
        {"new": 1},
        {"limit": None},
    ):
        side.call("claim", body)
    for body in ({}, {"attempt": 0}, {"attempt": "1"}, {"attempt": 1, "progress": 101}):
        side.call(f"jobs/{job}/heartbeat", body)
    side.call(f"jobs/{job}/fail", {"attempt": 1})
    for body in ({"holds": [[1]]}, {"holds": [[0, 1]]}, {"slots": {"all": 1}}):
        side.call("heartbeat", body)
    side.call("exchange", {"completed": [{"id": job}]})
    side.call("exchange", {"completed": [{"id": job, "attempt": 1}], "heartbeats": [{"id": job, "attempt": 1}]})


def one_job_after_the_other(side: Side) -> None:
    side.call("hello", {"instance": "a", "identity": "pod", "host": "h", "pid": 1, "version": "1", "kinds": [ECHO]})
    side.call("claim", {"kinds": None}, "a")
    side.add()
    lease = side.claim("a", start=False)
    side.report("start", lease, "a")
    side.report("heartbeat", lease, "a", progress=4, note="n")
    side.report("complete", lease, "a", result={"n": 1})
    for verb, more in (("complete", {"result": 1}), ("fail", {"error": "x"}), ("heartbeat", {}), ("release", {})):
        side.report(verb, lease, "a", **more)
    side.report("complete", (lease[0], lease[1] + 1), "a")
    side.report("complete", (10**9, 1), "a")
    side.call("heartbeat", {"version": "2", "slots": {"all": 1, "free": 1, "lost": 0}}, "a")


def failures(side: Side) -> None:
    side.call("hello", {"instance": "a"})
    side.add()
    lease = side.claim("a")
    side.report("fail", lease, "a", error="no", retry=False)
    side.report("fail", lease, "a", error="no", retry=False)
    side.report("complete", lease, "a")
    side.add()
    lease = side.claim("a")
    side.report("fail", lease, "a", error="no")
    side.report("heartbeat", lease, "a")


def leases_that_end(side: Side) -> None:
    side.call("hello", {"instance": "a"})
    side.add()
    first = side.claim("a")
    side.report("release", first, "a", reason="later")
    side.report("release", first, "a")
    second = side.claim("a")
    side.report("complete", first, "a")
    side.release(second[0])
    side.report("heartbeat", second, "a")
    third = side.claim("a")
    side.cancel(third[0])
    for verb, more in (("complete", {}), ("fail", {"error": "x"}), ("start", {}), ("release", {})):
        side.report(verb, third, "a", **more)
    side.call("heartbeat", {"holds": [list(second), list(third)]}, "a")
    side.call("exchange", {"heartbeats": [{"id": third[0], "attempt": third[1]}]}, "a")


def jobs_for_later(side: Side) -> None:
    side.call("hello", {"instance": "a"})
    job = side.add()
    lease = side.claim("a")
    side.report("release", lease, "a", reason="not there yet", run_in=0)
    side.report("release", lease, "a", run_in=0)
    side.report("complete", lease, "a")
    lease = side.claim("a")
    side.report("fail", lease, "a", error="no", retry_in=0)
    lease = side.claim("a")
    later = {"id": lease[0], "attempt": lease[1], "reason": "r", "run_in": 60}
    side.call("exchange", {"released": [later], "claim": {}}, "a")
    side.call("exchange", {"released": [later | {"run_in": -1}]}, "a")
    side.call(f"jobs/{job}/fail", {"attempt": 1, "error": "no", "retry_in": "1"}, "a")


def exchanges(side: Side) -> None:
    side.call("hello", {"instance": "a"})
    side.call("exchange", None, "a")
    side.add()
    lease = side.claim("a")
    side.add()
    done = {"id": lease[0], "attempt": lease[1], "result": 3}
    answer = side.call("exchange", {"completed": [done], "claim": {"limit": 2}}, "a")
    side.call("exchange", {"completed": [done], "failed": [{"id": 10**9, "attempt": lease[1], "error": "x"}]}, "a")
    (job,) = answer["jobs"]
    beat = {"id": job["id"], "attempt": job["attempt"], "progress": 4}
    side.call("exchange", {"heartbeats": [beat], "slots": {"all": 2, "free": 1, "lost": 0}}, "a")


def instances(side: Side) -> None:
    side.call("hello", {"instance": "a", "identity": "pod"})
    side.add()
    lease = side.claim("a")
    side.call("hello", {"instance": "other", "identity": "pod-2"})
    side.call("hello", {"instance": "b", "identity": "pod"})
    for path, body in (("claim", {}), ("exchange", {"claim": {}}), ("heartbeat", {"holds": [list(lease)]})):
        side.call(path, body, "a")
    side.call("exchange", {"completed": [{"id": lease[0], "attempt": lease[1]}]}, "a")
    side.report("complete", lease, "a")
    side.call("hello", {"instance": "c", "identity": "pod", "holds": []}, "a")
    side.claim("b")


def answers_that_were_lost(side: Side) -> None:
    side.call("hello", {"instance": "a", "identity": "pod"})
    side.add()
    known = side.claim("a")
    side.add()
    lost = side.claim("a")
    side.call("hello", {"instance": "b", "identity": "pod", "holds": [list(known), [10**9, 1]]}, "a")
    side.report("heartbeat", lost, "b")
    side.report("complete", known, "b")
    side.call("claim", {}, "a")


def goodbyes(side: Side) -> None:
    side.call("hello", {"instance": "a"})
    side.add()
    lease = side.claim("a")
    side.call("goodbye", {"instance": "a"}, "a")
    side.call("goodbye", {"instance": "a"}, "a")
    for path, body in (("claim", {}), ("exchange", {}), ("heartbeat", {})):
        side.call(path, body, "a")
    for verb in ("release", "complete"):
        side.report(verb, lease, "a")
    side.call("hello", {"instance": "a"})
    side.claim("a")


def orders(side: Side) -> None:
    side.call("hello", {"instance": "a"})
    side.add()
    lease = side.claim("a")
    side.restart()
    side.report("heartbeat", lease, "a")
    side.call("claim", {"wait": 30}, "a")
    side.call("heartbeat", {"holds": [list(lease)]}, "a")
    side.call("claim", {"limit": 0}, "a")
    side.call("goodbye", {"instance": "a"}, "a")
    side.call("hello", {"instance": "b"})
    side.pause(True)
    side.call("claim", {"wait": 30}, "b")
    side.call("exchange", {"claim": {"wait": 30}}, "b")
    side.pause(False)
    side.claim("b")


@pytest.mark.parametrize(
    "script",
    [
        malformed,
        one_job_after_the_other,
        failures,
        leases_that_end,
        jobs_for_later,
        exchanges,
        instances,
        answers_that_were_lost,
        goodbyes,
        orders,
    ],
)
def test_both_servers_answer_the_same(script: Callable[[Side], None], suite: Side, real: Side) -> None:
    script(suite)
    script(real)
    different = [pair for pair in zip(suite.seen, real.seen, strict=True) if pair[0] != pair[1]]
    assert not different, "\n".join(f"suite {of_suite}\nreal  {of_real}" for of_suite, of_real in different)
