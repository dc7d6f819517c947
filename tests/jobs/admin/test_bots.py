"""The list of bots, the worst first, and a bot's page: its record over time, and what it was stuck on."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from bots import roster
from bots.models import Bot
from jobs import lifecycle
from jobs.models import JobKind, JobRollup
from jobs.stats import rollup
from jobs.sweep import run
from tests.cast import bot_named, make_older, put_in_quarantine, take_one

BOTS = reverse("admin:bots_bot_changelist")


@pytest.fixture
def rows(client, olga):
    """The rows of the list: the text of each bot's columns."""
    client.force_login(olga)

    def look(**query):
        changes = client.get(BOTS, query).context["cl"]
        columns = ("state", "holds", "takes", "last_day", "failing", "expired")
        page = changes.model_admin
        return {bot.name: {name: str(getattr(page, name)(bot)) for name in columns} for bot in changes.result_list}

    return look


def test_the_worst_comes_first(rows, ada, bob):
    make_older(take_one(bob), 4)
    run.sweep()
    put_in_quarantine(bot_named("quinn"))
    roster.pause(Bot.objects.filter(pk=bot_named("pia").pk))
    take_one(bot_named("zoe"))
    found = rows()
    assert list(found) == ["quinn", "bob", "pia", "zoe", "ada"]
    assert "potentially stuck" in found["bob"]["state"]


def test_a_row_has_what_the_bot_holds_its_slots_kinds_rate_and_expiries(rows, ada):
    JobKind.objects.create(name="sum", when_silent="release")
    Bot.objects.filter(pk=ada.pk).update(kinds=["sum", "divide", "add", "multiply", "subtract"])
    lifecycle.hello(ada, instance="one", slots=(4, 1))
    ada.refresh_from_db()
    assert rows()["ada"]["holds"] == "0 of 3"
    assert rows()["ada"]["takes"] == "sum, divide, add and 2 more"


def test_its_record_is_of_the_last_day(rows, ada):
    for _ in range(3):
        take_one(ada).complete(1)
    take_one(ada).fail(retry=False)
    lost = take_one(ada)
    make_older(lost, 8)
    run.sweep()
    rollup.add_closed_minutes(timezone.now() + timedelta(minutes=2))
    row = rows()["ada"]
    assert (row["last_day"], row["failing"], row["expired"]) == ("4", "25.0 %", "1")


def test_a_bot_that_lost_its_job_was_stuck_until_then_and_is_stuck_no_more(client, rows, ada):
    make_older(take_one(ada), 8)
    run.sweep()
    assert "was stuck" in rows()["ada"]["state"]
    answer = client.get(reverse("admin:bots_bot_change", args=[ada.pk])).content.decode()
    assert "Was stuck until" in answer
    assert "not seen since. It holds nothing." in answer
    assert "potentially stuck" not in answer and "unhealthy" not in answer.partition("Events of its jobs")[0]
    # When it calls, all is well.
    lifecycle.claim(ada)
    assert "busy" in rows()["ada"]["state"]


@pytest.mark.parametrize(("given", "succeeded"), [("", 2), ("?range=week", 7), ("?range=month", 12), ("?range=x", 2)])
def test_a_bots_page_has_a_time_range(client, olga, ada, given, succeeded):
    client.force_login(olga)
    hour = timezone.localtime().replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    rows = [
        ("bot_hour", hour, 2), ("bot_day", day, 2), ("bot_day", day - timedelta(days=3), 5),
        ("bot_day", day - timedelta(days=20), 5), ("bot_day", day - timedelta(days=40), 100),
    ]  # fmt: skip
    for span, start, n in rows:
        JobRollup.objects.create(span=span, start=start, kind="sum", bot=ada.pk, succeeded=n, ran=n * 3)
    response = client.get(reverse("admin:bots_bot_change", args=[ada.pk]) + given)
    assert response.context["record"].succeeded == succeeded
    assert response.context["record"].mean == 3
    assert f'<td class="num">{succeeded}</td>' in response.content.decode()


def test_names_are_cut_at_their_beginning_and_not_where_they_differ(client, olga):
    bot_named("a-crawler-with-a-long-name-0042")
    client.force_login(olga)
    answer = client.get(reverse("admin:index")).content.decode()
    assert '<span class="start">a-crawler-with-a-long-nam</span><span class="end">e-0042</span>' in answer
