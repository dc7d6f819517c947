"""No more jobs of a kind, or of one of its groups, are held at once than its limits allow, and groups take turns."""

from collections import Counter
from typing import Any

import pytest

from bots.models import Bot
from jobs import lifecycle
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.lifecycle import gates
from jobs.models import Gate, Job, JobKind
from tests.cast import Lease, bot_named, enqueue_one

pytestmark = pytest.mark.django_db(transaction=True)


def limit(kind: str = "sum", **limits: Any) -> None:
    """Set limits of a kind, as its page does."""
    JobKind.objects.get_or_create(name=kind)
    JobKind.objects.filter(name=kind).update(**limits)
    gates.limits_changed([kind])


def add(*groups: str, kind: str = "sum", **fields: Any) -> None:
    """A job of each of these groups."""
    insert.enqueue([NewJob(kind, {}, group=group, **fields) for group in groups])


def claim(bot: Bot, n: int = 1, *kinds: str) -> list[Lease]:
    """What the bot gets, in order."""
    return [Lease(bot, job.id, job.attempt) for job in lifecycle.claim(bot, limit=n, kinds=kinds or None)]


def groups(leases: list[Lease]) -> list[str]:
    return [lease.job.group_name for lease in leases]


def test_no_more_of_a_kind_are_held_than_its_limit(ada: Bot, bob: Bot) -> None:
    limit(max_held=3)
    for _ in range(5):
        enqueue_one()
    first = claim(ada, 2)
    assert len(first) == 2
    assert len(claim(bob, 5)) == 1
    assert claim(bob) == []
    first[0].complete()
    assert len(claim(bob, 5)) == 1
    assert claim(ada) == []


def test_no_more_of_a_group_are_held_than_its_limit(ada: Bot) -> None:
    limit(max_held_per_group=2)
    add(*["acme"] * 4, *["beta"] * 3, "gamma")
    held = claim(ada, 20)
    assert Counter(groups(held)) == {"acme": 2, "beta": 2, "gamma": 1}
    assert claim(ada, 20) == []
    next(lease for lease in held if lease.job.group_name == "beta").complete()
    assert groups(claim(ada, 20)) == ["beta"]


@pytest.mark.parametrize("end", ["complete", "fail", "hand_back"])
def test_what_ends_makes_room_at_once_in_the_same_call_or_the_next(ada: Bot, end: str) -> None:
    limit(max_held=1)
    enqueue_one()
    enqueue_one()
    (lease,) = claim(ada)
    # Twice: the gate sleeps.
    assert claim(ada) == claim(ada) == []
    getattr(lease, end)()
    assert len(claim(ada, 5)) == 1


def test_groups_take_turns_whatever_their_priorities(ada: Bot) -> None:
    enqueue_one(group="big", priority=9)
    add(*["big"] * 9, priority=9)
    add("small", "small", priority=1)
    assert groups(claim(ada, 6)) == ["big", "small", "big", "small", "big", "big"]


def test_within_a_group_it_goes_by_priority_then_by_age(ada: Bot) -> None:
    old, urgent, new = enqueue_one(group="a"), enqueue_one(group="a", priority=5), enqueue_one(group="a")
    assert [lease.id for lease in claim(ada, 5)] == [urgent.pk, old.pk, new.pk]


def test_a_million_jobs_of_one_do_not_hold_up_ten_of_another(ada: Bot) -> None:
    add(*["big"] * 600)
    add(*["small"] * 10)
    got = groups(claim(ada, 500))
    assert got[:20] == ["big", "small"] * 10
    assert len(got) == 500


def test_a_group_that_was_away_does_not_catch_up(ada: Bot) -> None:
    add(*["a"] * 10)
    assert len(claim(ada, 5)) == 5
    add(*["b"] * 5)
    assert groups(claim(ada, 6)) == ["a", "b", "a", "b", "a", "b"]


def test_not_fair_goes_by_priority_across_groups(ada: Bot) -> None:
    limit(fair=False, max_held_per_group=2)
    add("a", "a", "a", priority=9)
    add("b", priority=5)
    add("c", priority=7)
    assert groups(claim(ada, 9)) == ["a", "a", "c", "b"]


def test_both_lanes_are_merged_by_priority_then_by_age(ada: Bot) -> None:
    limit("limited", max_held=5)
    made = [
        enqueue_one("limited", priority=5), enqueue_one("sum", priority=3), enqueue_one("limited", priority=1),
        enqueue_one("other", group="a", priority=4), enqueue_one("other", priority=2), enqueue_one("sum", priority=0),
    ]  # fmt: skip
    by_priority = [job.pk for job in sorted(made, key=lambda job: -job.priority)]
    assert [lease.id for lease in claim(ada, 2)] == by_priority[:2]
    assert [lease.id for lease in claim(ada, 1)] == by_priority[2:3]
    assert [lease.id for lease in claim(ada, 9)] == by_priority[3:]


def test_jobs_of_limited_kinds_and_with_groups_are_in_a_lane_of_their_own(ada: Bot) -> None:
    limit("limited", max_held=5)
    enqueue_one("limited")
    enqueue_one("sum", group="a")
    enqueue_one("sum")
    assert list(Job.objects.order_by("pk").values_list("gated", flat=True)) == [True, True, False]
    insert.enqueue([NewJob("limited", {})] * 250 + [NewJob("sum", {}, group="b")] * 250 + [NewJob("sum", {})])
    assert Counter(Job.objects.values_list("kind", "group_name", "gated")) == {
        ("limited", "", True): 251, ("sum", "a", True): 1, ("sum", "b", True): 250, ("sum", "", False): 2,
    }  # fmt: skip


def test_limits_move_the_jobs_that_are_there(ada: Bot) -> None:
    for _ in range(4):
        enqueue_one()
    held = claim(ada, 2)
    limit(max_held=3)
    assert Job.objects.filter(gated=True).count() == 4
    assert len(claim(ada, 9)) == 1
    limit(max_held=None)
    assert [lease.job.gated for lease in held] == [True, True]
    assert Job.objects.pending().get().gated is False
    assert len(claim(ada, 9)) == 1


def test_nothing_of_a_limited_kind_is_claimed_before_its_jobs_are_in_their_lane(ada: Bot) -> None:
    enqueue_one()
    enqueue_one()
    (held,) = claim(ada)
    JobKind.objects.filter(name="sum").update(max_held=1)
    assert claim(ada) == []
    gates.settle()
    assert claim(ada) == []
    held.complete()
    assert len(claim(ada)) == 1


def test_a_limit_that_is_raised_opens_what_was_full(ada: Bot) -> None:
    limit(max_held_per_group=1)
    add("a", "a", "a", "b", "b")
    assert len(claim(ada, 9)) == 2
    assert claim(ada, 9) == claim(ada, 9) == []
    limit(max_held_per_group=2)
    assert len(claim(ada, 9)) == 2
    limit(max_held_per_group=1)
    assert claim(ada, 9) == []


def test_what_operators_and_the_sweep_end_makes_room(ada: Bot) -> None:
    limit(max_held=1)
    enqueue_one()
    enqueue_one()
    for end in (lifecycle.release, lifecycle.cancel):
        (lease,) = claim(ada)
        assert claim(ada) == claim(ada) == []
        end([lease.id], by=lifecycle.SWEEP)
    assert len(claim(ada)) == 1


def test_a_job_that_is_due_later_opens_its_gate_then(ada: Bot) -> None:
    add("a")
    (lease,) = claim(ada)
    lease.fail()
    assert claim(ada) == []
    Gate.objects.update(due_at=None, open=False)
    Job.objects.update(run_at="2020-01-01T00:00Z")
    assert claim(ada) == []
    lifecycle.repair_gates()
    assert len(claim(ada)) == 1


def test_a_paused_kind_gives_nothing(ada: Bot) -> None:
    add("a")
    JobKind.objects.update(paused=True)
    assert claim(ada) == []
    JobKind.objects.update(paused=False)
    assert len(claim(ada)) == 1


def test_a_bot_gets_only_kinds_that_it_takes(ada: Bot) -> None:
    eve = bot_named("eve", kinds=["other"])
    add("a")
    assert claim(eve) == claim(ada, 1, "other") == []
    assert len(claim(ada, 1, "other", "sum")) == 1
