"""Reports of several bots that come at the same time: each guard stands for each of them, and the others hold."""

import pytest

from bots.models import Bot
from jobs import lifecycle
from jobs.models import Job
from jobs.states import JobStatus
from tests.cast import bot_named, enqueue_one, take_one
from tests.jobs.lifecycle.at_once import Turn, at_once
from tests.jobs.lifecycle.guarded import IN_AN_EXCHANGE, KEPT, REPORTS, SITUATIONS, another, late, report, state

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(("name", "call"), REPORTS)
def test_a_report_that_does_not_hold_changes_nothing_and_those_of_others_hold(
    ada: Bot, bob: Bot, name: str, call: str
) -> None:
    refusal = SITUATIONS[name](ada, bob)
    lease, before = refusal.lease, state()
    others = {each: another(bot_named(f"{each} bot")) for each in IN_AN_EXCHANGE}
    # They stay busy, and there is nothing else about them to compare.
    for other in others.values():
        another(other.bot)
    turns = [Turn(other.bot, {IN_AN_EXCHANGE[each]: [report(other, each)]}) for each, other in others.items()]
    turns.insert(1, Turn(lease.bot, {IN_AN_EXCHANGE[call]: [refusal.body(call)]}))
    answers = [answer.json() for answer in at_once(turns)]
    (rejected,) = answers.pop(1)["rejected"]
    assert (rejected["id"], rejected["attempt"], rejected["code"]) == (lease.id, lease.attempt, "lease_lost")
    assert [answer["accepted"] for answer in answers] == [[other.id] for other in others.values()]
    assert [other.job.status for other in others.values()] == [
        JobStatus.SUCCEEDED, JobStatus.PENDING, JobStatus.PROCESSING,
    ]  # fmt: skip
    after = state()
    for rows, was in ((after["jobs"], before["jobs"]), (after["bots"], before["bots"])):
        assert [row for row in rows if row["id"] in {row["id"] for row in was}] == was
    kept = refusal.once_held and call in KEPT
    assert late() == ([(lease.id, lease.attempt, lease.bot.pk)] if kept else [])


@pytest.mark.parametrize("call", IN_AN_EXCHANGE)
def test_a_job_that_two_bots_report_is_its_holders(ada: Bot, bob: Bot, call: str) -> None:
    lease = take_one(ada)
    item = {IN_AN_EXCHANGE[call]: [report(lease, call)]}
    theirs, hers = (answer.json() for answer in at_once([Turn(bob, item), Turn(ada, item)]))
    assert (hers["accepted"], theirs["accepted"]) == ([lease.id], [])
    assert [rejected["code"] for rejected in theirs["rejected"]] == ["lease_lost"]
    assert late() == []


@pytest.mark.parametrize("call", [*IN_AN_EXCHANGE, None])
def test_a_process_that_was_replaced_is_alone_in_being_refused(ada: Bot, bob: Bot, call: str | None) -> None:
    lifecycle.hello(ada, instance="second")
    hers, his = take_one(ada), take_one(bob)
    for _ in range(2):
        enqueue_one()
    body = {"claim": {}} | ({IN_AN_EXCHANGE[call]: [report(hers, call)]} if call else {})
    before = Job.objects.filter(pk=hers.id).values().get()
    refused, answer = at_once(
        [Turn(ada, body, instance="first"), Turn(bob, {"completed": [report(his, "complete")], "claim": {}})]
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "instance_replaced")
    assert (answer.json()["accepted"], len(answer.json()["jobs"])) == ([his.id], 1)
    assert Job.objects.filter(pk=hers.id).values().get() == before
    assert list(Job.objects.held_by(ada)) == [hers.job]
