"""A bot is busy if and only if it holds a job, whoever changes what it holds, and whatever else waits for its row."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from bots.models import Bot
from bots.states import BotStatus
from jobs import lifecycle
from jobs.lifecycle import SWEEP, By
from tests.cast import Lease, enqueue_one, take_one
from tests.race import in_order

pytestmark = pytest.mark.django_db(transaction=True)

#: Calls of a bot that change nothing it holds, and write its row.
CALLS: dict[str, Callable[[Bot], Any]] = {
    "see": lambda bot: lifecycle.see(bot, always=True),
    "claim of nothing": lambda bot: lifecycle.claim(bot, kinds=["none"]),
}
#: What ends the last lease of a bot.
ENDS: dict[str, Callable[[Lease, User], Any]] = {
    "complete": lambda lease, _: lease.complete(),
    "fail": lambda lease, _: lease.fail(),
    "hand back": lambda lease, _: lease.hand_back(),
    "release": lambda lease, olga: lifecycle.release([lease.id], by=By.operator(olga)),
    "expire": lambda lease, _: lifecycle.expire([lease.id], by=SWEEP, reasons={lease.id: "silent"}),
}


def status(bot: Bot) -> str:
    return Bot.objects.values_list("status", flat=True).get(pk=bot.pk)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("first", ["end", "call"])
def test_a_bot_whose_last_job_ends_while_another_call_of_it_waits_is_idle(
    ada: Bot, olga: User, end: str, call: str, first: str
) -> None:
    lease = take_one(ada)
    acts = [lambda: ENDS[end](lease, olga), lambda: CALLS[call](ada)]
    in_order(ada, *(acts if first == "end" else reversed(acts)))
    assert status(ada) == BotStatus.IDLE


@pytest.mark.parametrize("first", ["claim", "complete"])
def test_a_bot_that_gets_a_job_while_its_last_one_is_reported_is_busy(ada: Bot, first: str) -> None:
    lease = take_one(ada)
    enqueue_one()
    acts: list[Callable[[], Any]] = [lambda: lifecycle.claim(ada), lease.complete]
    in_order(ada, *(acts if first == "claim" else reversed(acts)))
    assert status(ada) == BotStatus.BUSY


def test_two_reports_of_the_last_two_jobs_leave_it_idle(ada: Bot) -> None:
    one, two = take_one(ada), take_one(ada)
    in_order(ada, one.complete, two.fail)
    assert status(ada) == BotStatus.IDLE


def test_a_bot_that_was_down_is_as_busy_as_it_is_when_it_calls(ada: Bot, bob: Bot) -> None:
    take_one(ada)
    Bot.objects.update(status=BotStatus.DOWN)
    for bot in (ada, bob):
        lifecycle.see(bot)
    assert (status(ada), status(bob)) == (BotStatus.BUSY, BotStatus.IDLE)
