"""An instance is paused, resumed and restarted on the page of its bot, and its quarantine cleared, by who may."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from bots.models import AuditEntry, Bot
from jobs import lifecycle
from jobs.models import Job
from tests.cast import enqueue_one, person_named

pytestmark = pytest.mark.django_db
POD = "pod-1"


@pytest.fixture
def pod(ada: Bot) -> Bot:
    """Ada, with two instances."""
    for name in (POD, "pod-2"):
        lifecycle.hello(ada, instance=name, identity=name)
    return ada


@pytest.fixture
def page(client: Client, olga: User, pod: Bot) -> str:
    client.force_login(olga)
    return reverse("admin:bots_bot_change", args=[pod.pk])


def press(client: Client, bot: Bot, action: str, *, name: str = POD, **more: str) -> str:
    """Press a button of an instance; what the page then has."""
    url = reverse("admin:bots_bot_instance", args=[bot.pk])
    answer = client.post(url, {"action": action, "instance": name} | more, follow=True)
    return f"{answer.status_code} {answer.content.decode()}"


def states(bot: Bot) -> dict[str, str]:
    return {instance.name: instance.state for instance in bot.instances.all()}


def test_it_is_paused_and_resumed(client: Client, page: str, pod: Bot) -> None:
    assert "Instance pod-1 of bot ada gets no new jobs" in press(client, pod, "pause")
    assert states(pod) == {POD: "paused", "pod-2": ""}
    assert "gets new jobs." in press(client, pod, "resume")
    assert states(pod) == {POD: "", "pod-2": ""}
    acts = AuditEntry.objects.exclude(verb="register").order_by("pk")
    assert list(acts.values_list("verb", "by", "after__instance")) == [("pause", "olga", POD), ("resume", "olga", POD)]


def test_it_is_restarted_once_that_is_confirmed_and_only_its_jobs_are_released(
    client: Client, page: str, pod: Bot
) -> None:
    jobs = [enqueue_one() for _ in range(2)]
    for name in (POD, "pod-2"):
        lifecycle.claim(pod, instance=name)
    asks = press(client, pod, "restart")
    assert "Restart instance pod-1 of ada?" in asks
    assert f"sum job {jobs[0].pk}" in asks
    assert f"sum job {jobs[1].pk}" not in asks
    assert states(pod) == {POD: "", "pod-2": ""}
    assert "Released 1 job." in press(client, pod, "restart", confirmed="yes")
    assert states(pod) == {POD: "restarting", "pod-2": ""}
    assert list(Job.objects.held().values_list("instance", flat=True)) == ["pod-2"]


def test_its_quarantine_is_shown_and_cleared(client: Client, page: str, pod: Bot) -> None:
    lifecycle.quarantine({pod.instances.get(name=POD).pk: "it hangs"})
    shown = client.get(page).content.decode()
    assert "instance pod-1: it hangs" in shown
    assert "Its next probe is due at" in shown
    press(client, pod, "clear_quarantine")
    assert states(pod) == {POD: "", "pod-2": ""}


def test_one_that_has_ended_has_no_buttons_and_is_refused(client: Client, page: str, pod: Bot) -> None:
    lifecycle.goodbye(pod, POD)
    assert client.get(page).content.decode().count('name="instance"') == 1
    assert "Bot ada has no current instance" in press(client, pod, "pause")


def test_who_may_only_look_has_no_buttons_and_is_refused(client: Client, page: str, pod: Bot, vera: User) -> None:
    client.force_login(vera)
    assert 'name="instance"' not in client.get(page).content.decode()
    assert press(client, pod, "pause").startswith("403")
    pauser = person_named("paula", lambda codename: codename in ("view_bot", "pause_bot"))
    client.force_login(pauser)
    assert press(client, pod, "restart", confirmed="yes").startswith("403")
    assert press(client, pod, "pause").startswith("200")


def test_what_is_no_button_is_not_found(client: Client, page: str, pod: Bot) -> None:
    assert press(client, pod, "explode").startswith("404")
    assert client.get(reverse("admin:bots_bot_instance", args=[pod.pk])).status_code == 405
