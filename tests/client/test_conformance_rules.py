"""Calls that break a rule are found by what was sent and when, and calls that break none are not."""

from typing import Any

import pytest

from jobsite_client.conformance.calls import Call
from jobsite_client.conformance.queue import ECHO, FIRST_ATTEMPT, Queue
from jobsite_client.conformance.rules import RULES, check

JOB = 17
LEASE = {"id": JOB, "attempt": FIRST_ATTEMPT}
FINE = {"authorization": "Bearer jsb_x", "bot-instance": "a"}


def call(at: float, sort: str, body: Any = None, status: int = 200, answer: Any = None, **more: Any) -> Call:
    """A call that was answered at once."""
    fields = {"headers": FINE, "answered_at": at + 0.01, **more}
    return Call(at, sort, body, status=status, answer=answer or {}, **fields)


def hello(at: float = 0.0, instance: str = "a") -> Call:
    return call(at, "hello", {"instance": instance})


def beat(at: float, **more: Any) -> Call:
    return call(at, f"jobs/{JOB}/heartbeat", {"attempt": FIRST_ATTEMPT}, **more)


def lost(at: float) -> Call:
    return beat(at, status=409, answer={"code": "lease_lost"})


def broken(*calls: Call) -> set[str]:
    """The rules that these calls break, of a bot that was given one job."""
    queue = Queue(lambda: 0.0)
    queue.add(ECHO, None)
    queue.claim("a", 1, None, True)
    return {rule for rule, _ in check(calls, queue)}


CLAIM = {"wait": 20}
BUSY = {"status": 503, "retry_after": 2.0, "planned": True}
LOST = {"rejected": [{"id": JOB, "code": "lease_lost"}]}


@pytest.mark.parametrize(
    ("calls", "rule"),
    [
        ([hello(), call(1, "claim", headers={"bot-instance": "a"})], "token-sent"),
        ([call(0, "claim")], "hello-first"),
        ([hello(), call(1, "claim", headers=FINE | {"bot-instance": ""})], "instance-sent"),
        ([hello(), call(1, "claim", headers=FINE | {"bot-instance": "b"})], "instance-sent"),
        ([hello(), call(1, "claim", {"n": 1}, status=422, answer={"detail": "n: no"})], "valid-calls"),
        ([hello(), call(1, f"jobs/{JOB}/complete", {"attempt": 1}, 409, {"code": "lease_lost"})], "attempt-sent"),
        (
            [hello(), call(1, "exchange", {"failed": [{"id": JOB, "attempt": 2}]}, answer=LOST)],
            "attempt-sent",
        ),
        ([hello(), call(1, "claim", CLAIM, **BUSY), call(2, "claim", CLAIM)], "retry-after"),
        ([hello(), call(1, "claim", CLAIM, retry_after=2.0), call(2, "claim", CLAIM)], "retry-after"),
        ([hello(), *(call(1 + n / 20, "claim") for n in range(11))], "no-hammering"),
        ([hello(), *(Call(1 + n / 20, "connection") for n in range(11))], "no-hammering"),
        ([hello(), lost(1), beat(3)], "silent-when-lost"),
        ([hello(), call(1, "heartbeat", answer={"lost": [[JOB, FIRST_ATTEMPT]]}), beat(3)], "silent-when-lost"),
        ([hello(), call(1, "exchange", {"heartbeats": [LEASE]}, answer=LOST), beat(3)], "silent-when-lost"),
        ([hello(), call(1, "goodbye", {"instance": "a"}), call(2, "claim")], "silent-after-goodbye"),
    ],
)
def test_a_broken_rule_is_found_by_the_calls(calls: list[Call], rule: str) -> None:
    assert broken(*calls) == {rule}
    assert rule in RULES


@pytest.mark.parametrize(
    "calls",
    [
        [hello(), call(1, "claim", CLAIM, **BUSY), beat(1.5), call(3.1, "claim", CLAIM)],
        [hello(), call(1, "claim", CLAIM, retry_after=2.0), call(2, "claim", {"limit": 1})],
        [hello(), *(call(1 + n / 20, "claim", answer={"jobs": [{"id": n}]}) for n in range(20))],
        [hello(), *(call(1 + n / 5, "claim") for n in range(20))],
        # What was under way when the lease was lost, and a result that comes late: the server has a place for it.
        [hello(), lost(1), beat(1.5), call(9, f"jobs/{JOB}/complete", {"attempt": FIRST_ATTEMPT}, 409)],
        [hello(), hello(1, "b"), call(1.1, "claim"), call(2, "claim", headers=FINE | {"bot-instance": "b"})],
        [hello(), call(1, "goodbye", {"instance": "a"}), call(1.2, f"jobs/{JOB}/release", {"attempt": FIRST_ATTEMPT})],
        [hello(), call(1, "goodbye", {"instance": "a"}), hello(2), call(3, "claim")],
    ],
)
def test_what_is_allowed_breaks_no_rule(calls: list[Call]) -> None:
    assert broken(*calls) == set()
