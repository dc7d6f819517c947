"""At most so many jobs of a kind or group start in any window of the period; a throttle shuts a gate for a while."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from bench.leases import Lease, most_started
from bots.models import Bot
from jobs import lifecycle
from jobs.models import Gate, Job, JobKind
from tests.cast import enqueue_one
from tests.jobs.lifecycle.test_limits import add, claim, groups, limit

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def ask(sql: str, *params: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchone()


@pytest.mark.parametrize("rate", [1, 7, 300])
def test_no_window_has_more_starts_than_the_rate_however_they_come(rate: int) -> None:
    """As a gate does it, 2 000 times, at moments that jump."""
    period, at, rng = timedelta(seconds=60), NOW, random.Random(rate)
    tokens: list[int] = []
    tokens_at: datetime | None = None
    starts: list[Lease] = []
    waited = 0
    for _ in range(2000):
        spare, free_at = ask("SELECT * FROM jobs_rate(%s, %s, %s, %s, %s)", tokens, tokens_at, rate, period, at)
        assert (spare > 0) == (free_at <= at)
        if spare:
            n = min(spare, rng.randint(1, 9))
            (tokens,) = ask("SELECT jobs_started(%s, %s, %s, %s, %s)", tokens, tokens_at, period, at, n)
            tokens_at = at
            starts += [Lease("sum", "", 1, at, None)] * n
            at += timedelta(seconds=rng.choice((0, 0.01, 1, 30)))
        else:
            waited += 1
            at = free_at
    most = most_started(starts, period)
    assert most == rate if waited else most <= rate
    # The whole rate is used, but for a part of the period at its edge.
    if waited > 100:
        assert len(starts) >= rate * (at - NOW) / period * 0.5


def test_a_kind_starts_no_more_than_its_rate(ada: Bot) -> None:
    limit(rate=3, rate_period=timedelta(minutes=1))
    for _ in range(5):
        enqueue_one()
    held = claim(ada, 9)
    assert len(held) == 3
    for lease in held:
        lease.complete()
    assert claim(ada, 9) == []
    Gate.objects.update(tokens_at=NOW - timedelta(days=1), due_at=NOW)
    assert len(claim(ada, 9)) == 2


def test_a_group_starts_no_more_than_its_rate(ada: Bot) -> None:
    limit(rate_per_group=1)
    add("a", "a", "b", "b", "b")
    assert sorted(groups(claim(ada, 9))) == ["a", "b"]
    assert claim(ada, 9) == []


def test_jobs_that_come_while_the_rate_is_used_up_wait_for_it(ada: Bot) -> None:
    limit(rate=1)
    enqueue_one()
    assert len(claim(ada)) == 1
    assert claim(ada) == []
    enqueue_one()
    assert claim(ada) == []
    gate = Gate.objects.get()
    assert not gate.open
    assert gate.due_at is not None
    assert timedelta(seconds=30) < gate.due_at - Job.objects.latest("claimed_at").run_at < timedelta(seconds=63)


def test_a_throttle_shuts_a_kind_for_all_bots(ada: Bot, bob: Bot) -> None:
    """Whether it has limits or none."""
    limit("limited", max_held=9)
    for kind in ("limited", "sum"):
        enqueue_one(kind)
        enqueue_one(kind)
        (first,) = claim(ada, 1, kind)
        lifecycle.throttle(kind, "", 60, by=lifecycle.By.bot(ada), reason="429")
        assert claim(bob, 9, kind) == claim(bob, 9, kind) == []
        first.complete()
        enqueue_one(kind)
        assert claim(bob, 9, kind) == []
        assert lifecycle.lift(kind, "", by=lifecycle.SWEEP)
        assert not lifecycle.lift(kind, "", by=lifecycle.SWEEP)
        assert len(claim(bob, 9, kind)) == 2
    enqueue_one("sum")
    lifecycle.throttle("sum", "", 60, by=lifecycle.By.bot(ada))
    assert claim(bob, 9) == []


def test_a_throttle_shuts_a_group_alone(ada: Bot) -> None:
    add("a", "a", "b", "b")
    lifecycle.throttle("sum", "a", 60, by=lifecycle.By.bot(ada))
    assert groups(claim(ada, 9)) == ["b", "b"]
    assert claim(ada) == claim(ada) == []
    lifecycle.lift("sum", "a", by=lifecycle.SWEEP)
    assert groups(claim(ada, 9)) == ["a", "a"]


def test_a_throttle_ends_by_itself(ada: Bot) -> None:
    add("a")
    lifecycle.throttle("sum", "", 60, by=lifecycle.By.bot(ada))
    assert claim(ada) == []
    Gate.objects.filter(group_name="").update(shut_until=NOW, due_at=NOW)
    assert len(claim(ada)) == 1


def test_the_longer_of_two_throttles_holds(ada: Bot) -> None:
    JobKind.objects.create(name="sum")
    until = lifecycle.throttle("sum", "", 600, by=lifecycle.By.bot(ada), reason="first")
    assert lifecycle.throttle("sum", "", 5, by=lifecycle.By.bot(ada), reason="second") == until
    assert Gate.objects.get().shut_reason == "first"
