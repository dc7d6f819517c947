"""A bot that takes several kinds gets their jobs in one order, by priority and then by age."""

import pytest
from django.db import transaction
from django.db.models.functions import Now
from django.test import Client

from bots.models import Bot
from jobs.models import Job
from tests.api.calls import send
from tests.cast import bot_named, enqueue_one
from tests.race import PATIENCE, racers

KINDS = ["sum", "divide"]


@pytest.fixture
def eve(db: None) -> Bot:
    """A bot of two kinds."""
    return bot_named("eve", kinds=KINDS)


def claim(client: Client, bot: Bot, limit: int) -> list[int]:
    """The jobs it gets, in order."""
    token = str(bot.token)  # type: ignore[attr-defined]
    return [job["id"] for job in send(client, token, "POST", "/claim", {"limit": limit}).json()["jobs"]]


@pytest.mark.django_db
@pytest.mark.parametrize("urgent", KINDS)
def test_the_most_urgent_job_of_all_kinds_is_first(client: Client, eve: Bot, urgent: str) -> None:
    (other,) = set(KINDS) - {urgent}
    low, high, middle = enqueue_one(other, priority=1), enqueue_one(urgent, priority=9), enqueue_one(other, priority=4)
    assert claim(client, eve, 1) == [high.pk]
    assert claim(client, eve, 1) == [middle.pk]
    assert claim(client, eve, 1) == [low.pk]


@pytest.mark.django_db
def test_priorities_that_only_one_kind_has_are_merged(client: Client, eve: Bot) -> None:
    made = [enqueue_one(KINDS[n % 2], priority=priority) for n, priority in enumerate((3, 8, 5, 1, 9, 2))]
    assert claim(client, eve, 6) == [job.pk for job in sorted(made, key=lambda job: -job.priority)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("locked", [2, 3, 5])
def test_jobs_of_one_moment_that_others_have_locked_do_not_hide_those_behind_them(
    client: Client, eve: Bot, locked: int
) -> None:
    made = [enqueue_one(KINDS[n % 2]).pk for n in range(locked + 2)]
    Job.objects.update(run_at=Now())
    with racers() as run, transaction.atomic():
        list(Job.objects.filter(pk__in=made[:locked]).order_by("pk").select_for_update())
        assert run.go(lambda: claim(client, eve, 2)).result(PATIENCE) == made[locked:]
