"""A claim hands out what is due, highest priority first and then the longest due, to bots that may have it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from bots import roster
from bots.models import Bot
from bots.states import BotStatus
from jobs import lifecycle
from jobs.errors import InstanceReplaced
from jobs.lifecycle import By, turn
from jobs.models import Job, JobKind
from jobs.states import JobStatus
from jobs.turns.frontier import MAX_INTERVAL, Frontiers
from tests.cast import bot_named, enqueue_one, make_older, put_in_quarantine, take_one

pytestmark = pytest.mark.django_db


def keys(bot: Bot, **options: object) -> list[str | None]:
    return [job.key for job in lifecycle.claim(bot, **({"limit": 10} | options))]  # type: ignore[arg-type]


def test_a_claim_opens_an_attempt_and_names_the_lease(ada: Bot) -> None:
    job = enqueue_one(payload={"numbers": [3]}, priority=4, key="k", max_attempts=5)
    (claimed,) = lifecycle.claim(ada)
    assert (claimed.id, claimed.kind, claimed.attempt, claimed.max_attempts) == (job.pk, "sum", 1, 5)
    assert (claimed.payload, claimed.priority, claimed.key) == ({"numbers": [3]}, 4, "k")
    job.refresh_from_db()
    assert (job.status, job.attempt, job.claimed_by) == (JobStatus.PROCESSING, 1, ada)
    assert job.claimed_at == job.started_at == job.heartbeat_at
    assert job.deadline_at == claimed.deadline_at


def test_a_claim_without_start_leaves_the_job_claimed(ada: Bot) -> None:
    enqueue_one()
    lifecycle.claim(ada, start=False)
    job = Job.objects.get()
    assert job.status == JobStatus.CLAIMED
    assert job.started_at is None
    assert job.deadline_at is not None
    assert job.claimed_at is not None
    assert job.deadline_at - job.claimed_at == job.kind.start_within


def test_a_bot_that_claims_is_busy(ada: Bot) -> None:
    take_one(ada)
    ada.refresh_from_db()
    assert ada.status == BotStatus.BUSY


def test_with_nothing_to_do_there_is_nothing_and_the_bot_stays_idle(ada: Bot) -> None:
    assert lifecycle.claim(ada) == []
    ada.refresh_from_db()
    assert ada.status == BotStatus.IDLE


def test_priority_goes_first_and_then_age(ada: Bot) -> None:
    enqueue_one(key="young")
    make_older(enqueue_one(key="old"), 5)
    make_older(enqueue_one(key="low", priority=-1), 60)
    enqueue_one(key="high", priority=9)
    assert keys(ada) == ["high", "old", "young", "low"]


def test_one_claim_after_the_other_keeps_the_same_order(ada: Bot) -> None:
    make_older(enqueue_one(key="old"), 5)
    enqueue_one(key="young")
    enqueue_one(key="high", priority=9)
    assert [keys(ada, limit=1) for _ in range(4)] == [["high"], ["old"], ["young"], []]


def test_a_job_is_not_handed_out_before_its_time(ada: Bot) -> None:
    job = enqueue_one(key="later", run_at=datetime.now(UTC) + timedelta(hours=1))
    assert keys(ada) == []
    make_older(job, 61)
    assert keys(ada) == ["later"]


def test_a_job_that_is_held_is_not_handed_out_again(ada: Bot, bob: Bot) -> None:
    take_one(ada)
    assert lifecycle.claim(bob) == []


def test_no_more_than_the_limit(ada: Bot) -> None:
    for _ in range(3):
        enqueue_one()
    assert len(lifecycle.claim(ada, limit=2)) == 2


def test_no_more_than_the_capacity_counting_what_the_bot_holds(db: None) -> None:
    eve = bot_named("eve", capacity=3)
    for _ in range(5):
        enqueue_one()
    assert len(lifecycle.claim(eve, limit=2)) == 2
    assert len(lifecycle.claim(eve, limit=10)) == 1
    assert lifecycle.claim(eve, limit=10) == []


def test_a_bot_gets_only_the_kinds_it_takes(db: None) -> None:
    eve = bot_named("eve", kinds=["sum", "divide"])
    for kind in ("sum", "divide", "multiply"):
        enqueue_one(kind, key=kind)
    assert sorted(str(key) for key in keys(eve)) == ["divide", "sum"]


def test_a_claim_may_ask_for_fewer_kinds_but_not_for_others(db: None) -> None:
    eve = bot_named("eve", kinds=["sum", "divide"])
    for kind in ("sum", "divide", "multiply"):
        enqueue_one(kind, key=kind)
    assert keys(eve, kinds=["multiply"]) == []
    assert keys(eve, kinds=["divide", "multiply"]) == ["divide"]


def test_a_bot_that_takes_anything_may_name_kinds(ada: Bot) -> None:
    for kind in ("sum", "divide"):
        enqueue_one(kind, key=kind)
    assert keys(ada, kinds=["sum"]) == ["sum"]
    assert keys(ada, kinds=[]) == []


def test_jobs_of_a_paused_kind_wait_until_it_is_resumed(ada: Bot) -> None:
    enqueue_one("sum", key="sum")
    enqueue_one("divide", key="divide")
    JobKind.objects.filter(name="sum").update(paused=True)
    assert keys(ada) == ["divide"]
    JobKind.objects.filter(name="sum").update(paused=False)
    assert keys(ada) == ["sum"]


def test_a_paused_bot_gets_nothing_until_it_is_resumed(ada: Bot) -> None:
    enqueue_one(key="a")
    assert roster.pause(Bot.objects.filter(pk=ada.pk)) == 1
    assert keys(ada) == []
    assert roster.resume(Bot.objects.filter(pk=ada.pk)) == 1
    assert keys(ada) == ["a"]


def test_a_quarantined_bot_gets_nothing_until_it_is_cleared(ada: Bot, olga: User) -> None:
    enqueue_one(key="a")
    put_in_quarantine(ada)
    assert keys(ada) == []
    assert lifecycle.clear_quarantine(Bot.objects.filter(pk=ada.pk), by=By.operator(olga)) == 1
    assert keys(ada) == ["a"]


def test_a_process_that_was_replaced_gets_nothing_and_is_told(ada: Bot) -> None:
    enqueue_one()
    lifecycle.hello(ada, instance="second")
    with pytest.raises(InstanceReplaced, match="'second'"):
        lifecycle.claim(ada, instance="first")
    assert Job.objects.pending().count() == 1


# --- When searching from the beginning is slow ----------------------------------------------------------------------


@pytest.fixture
def clock(settings: Any, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every search counts as slow, so claims start at frontiers. `clock[0]` is the time, in seconds, as they see it."""
    settings.CLAIM_SLOW = timedelta(0)
    now = [1000.0]
    monkeypatch.setattr(turn, "frontiers", Frontiers())
    monkeypatch.setattr(turn.time, "monotonic", lambda: now[0])
    monkeypatch.setattr("jobs.turns.frontier.SECONDS_PER_JOB", 0)
    # However quick it was, the next search from the beginning is MAX_INTERVAL away.
    monkeypatch.setattr("jobs.turns.frontier.TIME_SHARE", 10**9)
    return now


def test_what_appears_before_a_frontier_is_seen_within_a_second(ada: Bot, clock: list[float]) -> None:
    for key in ("first", "second", "third"):
        enqueue_one(key=key)
    assert keys(ada, limit=1) == ["first"]
    make_older(enqueue_one(key="early"), 5)
    enqueue_one(key="high", priority=9)
    assert keys(ada, limit=1) == ["second"]
    clock[0] += 1
    assert MAX_INTERVAL < 1
    assert keys(ada, limit=2) == ["high", "early"]


def test_from_a_frontier_on_the_order_is_kept_and_nothing_is_left_out(ada: Bot, clock: list[float]) -> None:
    for key, priority in (("a", 5), ("b", 5), ("c", 0), ("d", 0), ("e", -1)):
        enqueue_one(key=key, priority=priority)
    assert [keys(ada, limit=1) for _ in range(5)] == [["a"], ["b"], ["c"], ["d"], ["e"]]
    assert keys(ada) == []
    enqueue_one(key="f", priority=5)
    assert keys(ada) == ["f"]


def test_each_set_of_kinds_has_its_own_frontier(ada: Bot, clock: list[float]) -> None:
    eve = bot_named("eve", kinds=["divide"])
    for kind in ("sum", "divide", "sum", "divide"):
        enqueue_one(kind, key=f"{kind} {Job.objects.count()}")
    assert keys(ada, limit=3) == ["sum 0", "divide 1", "sum 2"]
    assert keys(eve) == ["divide 3"]
