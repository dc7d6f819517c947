"""The pages of a bot, of a kind and of a new job: what they say, and buttons that come back to where they were."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from bots.models import Bot
from jobs.models import JobKind
from jobs.stats import rollup
from tests.cast import bot_named, enqueue_one, take_one


@pytest.fixture
def asking(client, olga):
    client.force_login(olga)
    return client


def page(client, bot):
    return client.get(reverse("admin:bots_bot_change", args=[bot.pk])).content.decode()


def test_a_bots_page_has_its_record_beside_the_fleets(asking, ada, bob):
    for _ in range(3):
        take_one(ada).complete(1)
    take_one(ada).fail(retry=False)
    take_one(bob).complete(1)
    rollup.add_closed_minutes(timezone.now() + timedelta(minutes=2))
    answer = page(asking, ada)
    assert '<td class="num">75.0 %</td><td class="num">80.0 %</td>' in answer
    assert 'aria-labelledby="last-title"' in answer
    assert answer.count("succeeded</span>") == 3
    assert "None yet." in page(asking, bot_named("carl"))


def test_a_bots_page_shows_how_to_start_it_and_never_its_token(asking, ada, ada_token):
    answer = page(asking, ada)
    assert "jobsite_client" in answer
    assert "http://testserver" in answer
    assert ada_token not in answer


@pytest.mark.parametrize("action", ["pause", "restart"])
def test_a_button_on_a_bots_page_comes_back_to_it(asking, ada, action):
    back = reverse("admin:bots_bot_change", args=[ada.pk])
    form = {"action": action, "_selected_action": [ada.pk], "back": back}
    if action == "restart":
        lease = take_one(ada)
        assert f"sum job {lease.id}" in asking.post(reverse("admin:bots_bot_changelist"), form).content.decode()
        assert lease.job.claimed_by == ada
        form["confirmed"] = "yes"
    response = asking.post(reverse("admin:bots_bot_changelist"), form)
    assert (response.status_code, response["Location"]) == (302, back)
    ada.refresh_from_db()
    assert ada.paused if action == "pause" else ada.instances.get().restart_requested_at


def test_nobody_is_sent_to_another_site(asking, ada):
    form = {"action": "pause", "_selected_action": [ada.pk], "back": "https://evil.example/"}
    response = asking.post(reverse("admin:bots_bot_changelist"), form)
    assert "evil" not in response["Location"]


def test_buttons_that_do_not_apply_are_greyed_and_say_why(asking, ada):
    answer = page(asking, ada)
    assert "not possible: it holds no jobs" in answer
    assert "not possible: it is not paused" in answer


def test_somebody_who_may_only_look_has_no_buttons(client, vera, ada):
    client.force_login(vera)
    answer = page(client, ada)
    assert 'name="action"' not in answer
    assert "New token" not in answer


def test_kinds_and_capacity_may_be_changed_and_no_name_or_state_with_them(asking, ada):
    form = {"name": "adele", "kinds": "sum", "capacity": "3", "status": "down"}
    asking.post(reverse("admin:bots_bot_change", args=[ada.pk]), form)
    bot = Bot.objects.get(pk=ada.pk)
    assert (bot.name, bot.kinds, bot.capacity, bot.status) == ("ada", ["sum"], 3, "idle")


def test_a_kinds_page_says_its_policy_in_words_and_pauses_it(asking):
    JobKind.objects.create(name="a/b.c:d")
    url = reverse("admin:jobs_jobkind_change", args=["a_2Fb.c_3Ad"])
    answer = asking.get(url).content.decode()
    assert "No heartbeat for 2 m: its bot is potentially stuck. For 6 m: unhealthy." in answer
    form = {"action": "pause", "_selected_action": ["a/b.c:d"], "back": url}
    assert asking.post(reverse("admin:jobs_jobkind_changelist"), form)["Location"] == url
    assert JobKind.objects.get().paused
    assert "Resume" in asking.get(url).content.decode()


def test_a_new_job_starts_as_the_last_one_of_its_kind(asking):
    enqueue_one(payload={"customer": 17}, priority=4)
    answer = asking.get(reverse("admin:jobs_job_add") + "?kind=sum").content.decode()
    assert "&quot;customer&quot;: 17" in answer
    assert 'name="priority" value="4"' in answer
