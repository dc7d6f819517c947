"""A waiting claim is answered when a gate opens, by what opens it and not by looking each second."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from bots.models import Bot
from jobs import lifecycle
from jobs.turns.waiting import Waiters
from tests.api.calls import send
from tests.cast import enqueue_one
from tests.jobs.lifecycle.test_limits import add, claim, limit
from tests.race import PATIENCE, racers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def listening(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Nobody looks by himself. It is set where one would look first: as soon as notifications are heard."""
    heard = threading.Event()
    monkeypatch.setattr(Waiters, "wake_pollers", lambda self: heard.set())
    return heard


def got_after(listening: threading.Event, token: str, act: Callable[[], Any]) -> list[dict[str, Any]]:
    """What a claim gets that waits while this is done."""
    with racers() as run:
        waits = run.go(lambda: send(Client(), token, "POST", "/claim", {"wait": 15, "kinds": ["sum"]}).json()["jobs"])
        assert listening.wait(PATIENCE)
        # It has looked, and found the gate as it is.
        run.go(lambda: send(Client(), token, "POST", "/claim", {"kinds": ["sum"]})).result(PATIENCE)
        act()
        jobs: list[dict[str, Any]] = waits.result(PATIENCE)
        return jobs


@pytest.mark.parametrize("of", ["kind", "group"])
def test_a_held_job_of_a_full_kind_or_group_ends(ada: Bot, bob_token: str, of: str, listening: threading.Event) -> None:
    limit(**({"max_held": 1} if of == "kind" else {"max_held_per_group": 1}))
    add("a", "a")
    (lease,) = claim(ada)
    assert len(got_after(listening, bob_token, lease.complete)) == 1


def test_an_operator_releases_it(ada: Bot, bob_token: str, listening: threading.Event) -> None:
    limit(max_held=1)
    enqueue_one()
    (lease,) = claim(ada)
    assert len(got_after(listening, bob_token, lambda: lifecycle.release([lease.id], by=lifecycle.SWEEP))) == 1


def test_the_next_start_is_free(ada: Bot, bob_token: str, listening: threading.Event) -> None:
    limit(rate=1, rate_period=timedelta(seconds=1))
    add("a", "a")
    claim(ada)
    assert len(got_after(listening, bob_token, lambda: None)) == 1


def test_a_throttle_is_lifted(ada: Bot, bob_token: str, listening: threading.Event) -> None:
    enqueue_one()
    lifecycle.throttle("sum", "", 60, by=lifecycle.By.bot(ada))
    assert len(got_after(listening, bob_token, lambda: lifecycle.lift("sum", "", by=lifecycle.SWEEP))) == 1


def test_a_group_gets_a_job(ada: Bot, bob_token: str, listening: threading.Event) -> None:
    add("a")
    claim(ada)
    assert claim(ada) == claim(ada) == []
    assert len(got_after(listening, bob_token, lambda: add("a"))) == 1
