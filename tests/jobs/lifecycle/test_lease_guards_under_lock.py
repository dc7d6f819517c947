"""What changes while a turn waits for a lock is seen when it has it: each guard is looked at again there."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.db.models.functions import Now
from django.http import HttpResponse

from bots import roster
from bots.models import Bot
from jobs import lifecycle
from jobs.lifecycle import SWEEP
from jobs.models import Job
from jobs.states import JobStatus
from tests.api.calls import send
from tests.cast import Lease, bot_named, enqueue_one, make_older, put_in_quarantine, take_one
from tests.entered import EnteringClient
from tests.jobs.lifecycle.at_once import Group, Turn
from tests.jobs.lifecycle.guarded import CALLS, IN_AN_EXCHANGE, another, report
from tests.race import PATIENCE, racers

pytestmark = pytest.mark.django_db(transaction=True)

Make = Callable[[], HttpResponse]


def _given_back(lease: Lease, bob: Bot) -> None:
    lifecycle.release([lease.id], by=SWEEP)


def _claimed_again(lease: Lease, bob: Bot) -> None:
    lifecycle.release([lease.id], by=SWEEP)
    lifecycle.claim(lease.bot)


def _claimed_by_another(lease: Lease, bob: Bot) -> None:
    lifecycle.release([lease.id], by=SWEEP)
    lifecycle.claim(bob)


def _cancelled(lease: Lease, bob: Bot) -> None:
    lifecycle.cancel([lease.id], by=SWEEP)


CHANGES = {f.__name__[1:]: f for f in (_given_back, _claimed_again, _claimed_by_another, _cancelled)}


def alone(turn: Turn) -> Make:
    """The turn by itself."""
    return turn.make


def at_once(turn: Turn) -> Make:
    """The turn in a group with one that claims nothing and holds."""
    other = another(bot_named("other"))
    group = Group([turn, Turn(other.bot, {"completed": [report(other, "complete")]})])

    def make() -> HttpResponse:
        answer, fine = group.make()
        assert fine.json()["accepted"] == [other.id]
        return answer

    return make


WAYS = [alone, at_once]


def meanwhile(make: Make, change: Callable[[], object]) -> HttpResponse:
    """The turn's answer, where this changes while the turn waits for the lock on what changes."""
    with racers() as run:
        with transaction.atomic():
            change()
            answer = run.go_and_block(make)
        return answer.result(PATIENCE)


def row(lease: Lease) -> dict[str, Any]:
    return dict(Job.objects.filter(pk=lease.id).values().get())


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("call", CALLS)
def test_a_call_about_a_lease_that_ends_meanwhile_changes_nothing(ada: Bot, bob: Bot, call: str, change: str) -> None:
    lease, after = take_one(ada), list[dict[str, Any]]()
    body = {k: v for k, v in report(lease, call).items() if k != "id"}

    def end() -> None:
        CHANGES[change](lease, bob)
        after.append(row(lease))

    answer = meanwhile(
        lambda: send(EnteringClient(), str(ada.token), "POST", f"/jobs/{lease.id}/{call}", body),  # type: ignore[attr-defined]
        end,
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "lease_lost")
    assert row(lease) == after[0]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("call", IN_AN_EXCHANGE)
@pytest.mark.parametrize("others", [0, 1], ids=["by itself", "among others"])
@pytest.mark.parametrize("way", WAYS)
def test_a_report_of_a_lease_that_ends_meanwhile_changes_nothing(
    ada: Bot, bob: Bot, call: str, change: str, others: int, way: Callable[[Turn], Make]
) -> None:
    lease, after = take_one(ada), list[dict[str, Any]]()
    good = [another(ada) for _ in range(others)]
    make = way(Turn(ada, {IN_AN_EXCHANGE[call]: [report(one, call) for one in (lease, *good)]}))

    def end() -> None:
        CHANGES[change](lease, bob)
        after.append(row(lease))

    body = meanwhile(make, end).json()
    assert [rejected["code"] for rejected in body["rejected"]] == ["lease_lost"]
    assert body["accepted"] == [one.id for one in good]
    assert row(lease) == after[0]


def _revoke(bot: Bot) -> None:
    roster.revoke(Bot.objects.filter(pk=bot.pk))


def _rotate(bot: Bot) -> None:
    roster.rotate(bot)


def _replace(bot: Bot) -> None:
    Bot.objects.filter(pk=bot.pk).update(instance="second", instances_changed_at=Now())
    bot.instances.filter(name="first").update(ended_at=Now(), replaced_by="second")


REPLACED = {_revoke: (401, "unauthorized"), _rotate: (401, "unauthorized"), _replace: (409, "instance_replaced")}


@pytest.mark.parametrize(("change", "refusal"), REPLACED.items())
@pytest.mark.parametrize("way", WAYS)
def test_a_turn_of_a_bot_whose_token_or_process_is_replaced_meanwhile_does_nothing(
    ada: Bot, way: Callable[[Turn], Make], change: Callable[[Bot], None], refusal: tuple[int, str]
) -> None:
    lifecycle.hello(ada, instance="first")
    lease = take_one(ada)
    enqueue_one()
    make = way(Turn(ada, {"claim": {}}, instance="first"))
    before = row(lease)
    answer = meanwhile(make, lambda: change(ada))
    assert (answer.status_code, answer.json().get("code")) == refusal
    assert row(lease) == before
    assert Job.objects.pending().count() == 1


@pytest.mark.parametrize("change", REPLACED)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("call", IN_AN_EXCHANGE)
def test_reports_of_a_bot_whose_token_or_process_is_replaced_meanwhile_hold_and_its_claim_gets_nothing(
    ada: Bot, call: str, way: Callable[[Turn], Make], change: Callable[[Bot], None]
) -> None:
    lifecycle.hello(ada, instance="first")
    lease, waiting = take_one(ada), enqueue_one()
    before = row(lease)
    make = way(Turn(ada, {"claim": {}, IN_AN_EXCHANGE[call]: [report(lease, call)]}, instance="first"))
    answer = meanwhile(make, lambda: change(ada))
    assert (answer.status_code, answer.json()["accepted"], answer.json()["jobs"]) == (200, [lease.id], [])
    assert row(lease) != before
    assert Job.objects.get(pk=waiting.pk).status == JobStatus.PENDING


@pytest.mark.parametrize(
    "change",
    [{"paused": True}, {"quarantined": True}, {"capacity": 1}, {"kinds": ["divide"]}],
    ids=lambda change: next(iter(change)),
)
@pytest.mark.parametrize("way", WAYS)
def test_a_bot_that_may_not_have_the_job_any_more_reports_and_gets_none(
    ada: Bot, way: Callable[[Turn], Make], change: dict[str, Any]
) -> None:
    lease, held = take_one(ada), take_one(ada)
    make = way(Turn(ada, {"completed": [report(lease, "complete")], "claim": {}}))
    enqueue_one()

    def act() -> None:
        if "quarantined" in change:
            put_in_quarantine(ada)
        else:
            Bot.objects.filter(pk=ada.pk).update(**change)

    body = meanwhile(make, act).json()
    assert (body["accepted"], body["jobs"], body["paused"]) == ([lease.id], [], "paused" in change)
    assert Job.objects.pending().count() == 1
    assert held.job.status == JobStatus.PROCESSING


@pytest.mark.parametrize("call", IN_AN_EXCHANGE)
@pytest.mark.parametrize("way", WAYS)
def test_a_bot_that_a_sweep_grades_meanwhile_is_well_again_with_its_report(
    ada: Bot, call: str, way: Callable[[Turn], Make]
) -> None:
    lease = take_one(ada)
    make = way(Turn(ada, {IN_AN_EXCHANGE[call]: [report(lease, call)]}))
    make_older(lease, 3)
    graded = list[Any]()
    answer = meanwhile(make, lambda: graded.append(lifecycle.regrade(Bot.objects.filter(pk=ada.pk))))
    assert graded == [{ada.pk: ("normal", "potentially_stuck")}]
    assert answer.json()["accepted"] == [lease.id]
    ada.refresh_from_db()
    assert (ada.health_status, ada.health_reason, ada.stuck_job_id) == ("normal", "", None)
    assert ada.status == ("busy" if call == "heartbeat" else "idle")
