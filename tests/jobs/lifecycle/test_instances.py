"""Instances of one bot: each identity has one, replicas leave each other alone, and an ended one gets nothing."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from bots.instances import Instance
from bots.models import Bot
from jobs import lifecycle
from jobs.errors import InstanceReplaced
from jobs.lifecycle import By
from jobs.models import Job, JobEvent
from tests.cast import enqueue_one
from tests.race import in_order

pytestmark = pytest.mark.django_db


def hold(bot: Bot, instance: str) -> Job:
    job = enqueue_one(priority=5)
    lifecycle.claim(bot, instance=instance)
    return Job.objects.get(pk=job.pk)


def holder(job: Job) -> tuple[int | None, str]:
    now = Job.objects.get(pk=job.pk)
    return now.claimed_by_id, now.instance


def state(bot: Bot, name: str) -> tuple[bool, str]:
    """Whether it has ended, and what replaced it."""
    row = bot.instances.get(name=name)
    return row.ended_at is not None, row.replaced_by


def test_replicas_of_two_identities_leave_each_other_alone(ada: Bot) -> None:
    lifecycle.hello(ada, instance="pod-1-a", identity="pod-1")
    first = hold(ada, "pod-1-a")
    assert lifecycle.hello(ada, instance="pod-2-a", identity="pod-2") == []
    second = hold(ada, "pod-2-a")
    assert holder(first) == (ada.pk, "pod-1-a")
    assert holder(second) == (ada.pk, "pod-2-a")


def test_a_pod_that_starts_again_releases_its_own_and_only_that(ada: Bot) -> None:
    for pod in ("pod-1", "pod-2"):
        lifecycle.hello(ada, instance=f"{pod}-a", identity=pod)
    mine, other = hold(ada, "pod-1-a"), hold(ada, "pod-2-a")
    assert [change.id for change in lifecycle.hello(ada, instance="pod-1-b", identity="pod-1")] == [mine.pk]
    assert holder(other) == (ada.pk, "pod-2-a")
    assert state(ada, "pod-1-a") == (True, "pod-1-b")
    with pytest.raises(InstanceReplaced, match="'pod-1-b'"):
        lifecycle.claim(ada, instance="pod-1-a")
    assert [claimed.id for claimed in lifecycle.claim(ada, instance="pod-2-a")] == [mine.pk]


def test_a_bot_of_one_process_is_replaced_by_the_next_and_a_named_pod_is_not(ada: Bot) -> None:
    lifecycle.hello(ada, instance="new client", identity="pod-1")
    lifecycle.hello(ada, instance="old client")
    kept = hold(ada, "new client")
    gone = hold(ada, "old client")
    assert [change.id for change in lifecycle.hello(ada, instance="old client again")] == [gone.pk]
    assert holder(kept) == (ada.pk, "new client")


def test_the_jobs_of_a_process_that_goes_on_get_its_new_name(ada: Bot) -> None:
    lifecycle.hello(ada, instance="first", identity="pod-1")
    job = hold(ada, "first")
    lifecycle.hello(ada, instance="second", identity="pod-1", holds=[(job.pk, 1)], before="first")
    assert holder(job) == (ada.pk, "second")
    assert [change.id for change in lifecycle.goodbye(ada, "second")] == [job.pk]


def test_what_is_known_of_an_instance_is_kept_with_it(ada: Bot) -> None:
    lifecycle.hello(ada, instance="first", identity="pod-1", host="node-7", pid=4711, version="1.2")
    row = ada.instances.get()
    assert (row.host, row.pid, row.version, row.state) == ("node-7", 4711, "1.2", "")


# --- Goodbye ----------------------------------------------------------------------------------------------------------


def test_goodbye_releases_all_that_the_instance_holds_and_nothing_else(ada: Bot) -> None:
    for pod in ("pod-1", "pod-2"):
        lifecycle.hello(ada, instance=pod, identity=pod)
    mine, other = hold(ada, "pod-1"), hold(ada, "pod-2")
    (change,) = lifecycle.goodbye(ada, "pod-1")
    assert (change.id, change.status) == (mine.pk, "pending")
    assert (Job.objects.get(pk=mine.pk).uncounted, holder(other)) == (1, (ada.pk, "pod-2"))
    event = JobEvent.objects.get()
    assert (event.verb, event.actor, event.by, event.reason) == ("release", "bot", "ada", "bot ada called goodbye")


@pytest.mark.parametrize("greeted", [True, False])
def test_after_goodbye_its_claims_are_refused(ada: Bot, greeted: bool) -> None:
    if greeted:
        lifecycle.hello(ada, instance="first")
    lifecycle.goodbye(ada, "first")
    enqueue_one()
    with pytest.raises(InstanceReplaced, match="called goodbye"):
        lifecycle.claim(ada, instance="first")
    assert len(lifecycle.claim(ada, instance="next")) == 1


def test_goodbye_may_be_repeated_and_hello_begins_again(ada: Bot) -> None:
    lifecycle.hello(ada, instance="first")
    for _ in range(2):
        assert lifecycle.goodbye(ada, "first") == []
    lifecycle.hello(ada, instance="first")
    hold(ada, "first")
    assert state(ada, "first") == (False, "")


def test_the_goodbye_of_a_replaced_instance_changes_nothing(ada: Bot) -> None:
    lifecycle.hello(ada, instance="first")
    lifecycle.hello(ada, instance="second")
    job = hold(ada, "second")
    assert lifecycle.goodbye(ada, "first") == []
    assert (holder(job), state(ada, "first")) == ((ada.pk, "second"), (True, "second"))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("end", ["goodbye", "hello of a newer one"])
def test_a_claim_that_was_locked_out_by_the_end_of_its_instance_gets_nothing(ada: Bot, end: str) -> None:
    lifecycle.hello(ada, instance="first", identity="pod-1")
    enqueue_one()
    ends: dict[str, Callable[[], object]] = {
        "goodbye": lambda: lifecycle.goodbye(ada, "first"),
        "hello of a newer one": lambda: lifecycle.hello(ada, instance="second", identity="pod-1"),
    }

    def claim() -> str:
        try:
            return f"got {len(lifecycle.claim(ada, instance='first'))}"
        except InstanceReplaced:
            return "refused"

    assert in_order(ada, ends[end], claim)[1] == "refused"


# --- Restart ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def restart(olga: User) -> Callable[[Bot], None]:
    def ask(bot: Bot) -> None:
        lifecycle.restart(Bot.objects.filter(pk=bot.pk), by=By.operator(olga))

    return ask


def test_an_instance_that_must_restart_gets_nothing_until_it_calls_hello(ada: Bot, restart) -> None:
    lifecycle.hello(ada, instance="first", identity="pod-1")
    job = hold(ada, "first")
    restart(ada)
    assert holder(job) == (None, "")
    assert [lifecycle.claim(ada, instance="first") for _ in range(3)] == [[], [], []]
    lifecycle.hello(ada, instance="second", identity="pod-1")
    assert [claimed.id for claimed in lifecycle.claim(ada, instance="second")] == [job.pk]


def test_a_bot_that_never_calls_hello_is_asked_once_in_an_empty_answer(ada: Bot, restart) -> None:
    job = hold(ada, "")
    restart(ada)
    assert lifecycle.claim(ada) == []
    assert [claimed.id for claimed in lifecycle.claim(ada)] == [job.pk]


def test_other_bots_are_not_asked(ada: Bot, bob: Bot, restart) -> None:
    for bot in (ada, bob):
        lifecycle.hello(bot, instance="first")
    restart(ada)
    assert (lifecycle.orders(ada, "first")["restart"], lifecycle.orders(bob, "first")["restart"]) == (True, False)


@pytest.mark.django_db(transaction=True)
def test_a_claim_that_was_locked_out_by_a_restart_gets_nothing(ada: Bot, restart) -> None:
    lifecycle.hello(ada, instance="first", identity="pod-1")
    enqueue_one()
    assert in_order(ada, lambda: restart(ada), lambda: lifecycle.claim(ada, instance="first"))[1] == []


# --- What is asked for ------------------------------------------------------------------------------------------------


def test_the_kinds_of_the_last_claim_are_known(ada: Bot) -> None:
    lifecycle.hello(ada, instance="first")
    asked = []
    for kinds in (["sum", "divide"], ["sum"], None):
        lifecycle.claim(ada, kinds=kinds, instance="first")
        asked.append(ada.instances.get().asked_kinds)
    assert asked == [["divide", "sum"], ["sum"], None]


def test_a_bot_that_never_calls_hello_has_one_instance_without_a_name(ada: Bot) -> None:
    lifecycle.claim(ada, kinds=["sum"])
    lifecycle.claim(ada, kinds=["sum"], instance="never greeted")
    assert list(Instance.objects.values_list("name", "asked_kinds")) == [("", ["sum"])]
