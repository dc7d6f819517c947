"""Several of a bot's jobs end in open transactions at the same time: afterwards the bot is what it holds."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from bots.models import Bot
from jobs import lifecycle
from jobs.lifecycle import SWEEP
from jobs.models import Job
from jobs.states import JobStatus
from tests.cast import Lease, make_older, take_one
from tests.jobs.lifecycle.at_once import Turn
from tests.race import PATIENCE, racers

pytestmark = pytest.mark.django_db(transaction=True)

ENDINGS: dict[str, Callable[[Lease], Any]] = {
    "complete": lambda lease: lease.complete(),
    "fail": lambda lease: lease.fail(),
    "hand back": lambda lease: lease.hand_back(),
    "release": lambda lease: lifecycle.release([lease.id], by=SWEEP),
    "cancel": lambda lease: lifecycle.cancel([lease.id], by=SWEEP),
    "expire": lambda lease: lifecycle.expire([lease.id], by=SWEEP, reasons={lease.id: "silent"}),
}
PAIRS = [("release", other) for other in ENDINGS] + [(other, "release") for other in ENDINGS if other != "release"]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_bot_whose_last_two_jobs_end_at_once_is_idle(ada: Bot, one: str, other: str) -> None:
    first, second = take_one(ada), take_one(ada)
    with racers() as run:
        with transaction.atomic():
            ENDINGS[one](first)
            # It cannot see that the first has ended, and so must wait before it looks at what the bot holds.
            ending = run.go_and_block(lambda: ENDINGS[other](second))
        ending.result(PATIENCE)
    assert not Job.objects.held_by(ada).exists()
    ada.refresh_from_db()
    assert ada.status == "idle"


def test_a_bot_that_reports_its_last_job_while_another_of_its_is_released_is_idle(ada: Bot) -> None:
    released, reported = take_one(ada), take_one(ada)
    turn = Turn(ada, {"completed": [{"id": reported.id, "attempt": reported.attempt}]})
    with racers() as run:
        with transaction.atomic():
            lifecycle.release([released.id], by=SWEEP)
            answer = run.go_and_block(turn.make)
        assert answer.result(PATIENCE).json()["accepted"] == [reported.id]
    ada.refresh_from_db()
    assert ada.status == "idle"


def test_two_turns_of_a_bot_that_name_the_same_jobs_in_another_order_do_not_wait_for_each_other_for_ever(
    ada: Bot,
) -> None:
    one, two = take_one(ada), take_one(ada)
    done = {lease.id: {"id": lease.id, "attempt": lease.attempt} for lease in (one, two)}
    # Of a bot that is unwell, too: its reports may be carried out one after the other.
    make_older(one, 3)
    lifecycle.regrade(Bot.objects.filter(pk=ada.pk))
    with racers() as run:
        with transaction.atomic():
            Bot.objects.select_for_update(no_key=True).get(pk=ada.pk)
            first = run.go_and_block(Turn(ada, {"completed": [done[one.id]], "heartbeats": [done[two.id]]}).make)
            # By another process of the bot: repeats of one call by one process wait for each other before the database.
            other = {"completed": [done[two.id]], "heartbeats": [done[one.id]]}
            second = run.go_and_block(Turn(ada, other, instance="another").make)
        answers = [turn.result(PATIENCE) for turn in (first, second)]
    assert [answer.status_code for answer in answers] == [200, 200]
    before, after = (answer.json() for answer in answers)
    assert (sorted(before["accepted"]), before["rejected"]) == ([one.id, two.id], [])
    assert (after["accepted"], [rejected["id"] for rejected in after["rejected"]]) == ([two.id], [one.id])
    assert {one.job.status, two.job.status} == {JobStatus.SUCCEEDED}
    ada.refresh_from_db()
    assert (ada.status, ada.health_status) == ("idle", "normal")
