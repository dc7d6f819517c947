"""A session that ends in the midst of an act: nothing is done, and what was asked for is there after the login."""

import re
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from bots.models import Bot
from jobs.admin import all_matching
from jobs.models import Job
from tests.cast import enqueue_one, take_one

pytestmark = pytest.mark.django_db

LIST = reverse("admin:jobs_job_changelist")
NOTHING_DONE = "You were logged out before this was done, so nothing was changed."


@pytest.fixture
def console(client: Client, olga: Any) -> Client:
    client.force_login(olga)
    return client


def log_in_again(console: Client, answer: Any) -> str:
    """Log in where the answer leads, and return the page after that."""
    assert answer.status_code == 302
    form = {"username": "olga", "password": "olga has a long password"}
    return console.post(answer["Location"], form, follow=True).content.decode()


def sent(html: str) -> dict[str, Any]:
    """What the page's form of the act sends."""
    form = html.split('<form method="post">')[-1].split("</form>")[0]
    fields = re.findall(r'name="(\w+)"[^>]* value="([^"]*)"', form)
    ticked = [value for name, value in fields if name == "_selected_action"]
    return dict(fields) | {"_selected_action": ticked}


def test_ticks_and_reason_are_kept_and_nothing_was_done(console: Client, ada: Bot) -> None:
    held, other = take_one(ada), take_one(ada)
    form = {"action": "release_jobs", "_selected_action": [held.id], "confirmed": "yes", "reason": "ada hangs"}
    Session.objects.all().delete()
    html = log_in_again(console, console.post(f"{LIST}?view=held", form))
    assert NOTHING_DONE in html
    assert Job.objects.held().count() == 2
    again = sent(html)
    assert (again["_selected_action"], again["reason"]) == ([str(held.id)], "ada hangs")
    assert "Released 1 job." in console.post(f"{LIST}?view=held", again, follow=True).content.decode()
    assert (held.job.status, other.job.status) == ("pending", "processing")
    # Once.
    assert NOTHING_DONE not in console.get(f"{LIST}?view=held").content.decode()


def test_ticks_without_a_confirmation_are_kept_as_well(console: Client) -> None:
    job = enqueue_one()
    Session.objects.all().delete()
    html = log_in_again(console, console.post(LIST, {"action": "cancel_jobs", "_selected_action": [job.pk]}))
    assert NOTHING_DONE in html
    assert sent(html)["_selected_action"] == [str(job.pk)]


def test_all_that_match_and_a_priority_are_kept(console: Client) -> None:
    enqueue_one()
    form = {"action": "prioritise_jobs", "select_across": "1", "confirmed": "yes", "priority": "7", "reason": "soon"}
    Session.objects.all().delete()
    again = sent(log_in_again(console, console.post(f"{LIST}?view=pending", form)))
    assert (again["priority"], again["reason"], again["select_across"]) == ("7", "soon", "1")
    assert Job.objects.get().priority == 0


def next_step(html: str) -> dict[str, str]:
    """What the progress of an act sends."""
    return dict(re.findall(r'name="(\w+)" value="([^"]*)"', html.split('id="walk"')[1].split('class="default"')[0]))


def test_between_two_steps_the_rest_waits_for_a_press(console: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(all_matching, "STEP", 2)
    for _ in range(5):
        enqueue_one()
    form = {"action": "cancel_jobs", "select_across": "1", "confirmed": "yes", "reason": "the wrong file"}
    step = next_step(console.post(LIST, form).content.decode())
    Session.objects.all().delete()
    # A script that runs the steps takes the whole page to the login.
    answer = console.post(LIST, step, headers={"HX-Request": "true"})
    assert (answer.status_code, answer["HX-Redirect"].split("?")[0]) == (200, reverse("admin:login"))
    login = {"username": "olga", "password": "olga has a long password"}
    html = console.post(answer["HX-Redirect"], login, follow=True).content.decode()
    assert "You were logged out before the next step, and it was not done." in html
    assert "Cancelled 2 jobs." in html
    assert "hx-post" not in html.split('id="walk"')[1].split(">")[0]
    assert Job.objects.filter(status="cancelled").count() == 2
    step = next_step(console.post(LIST, next_step(html)).content.decode())
    assert "Cancelled 5 jobs." in console.post(LIST, step, follow=True).content.decode()


def test_the_reason_for_one_job_is_kept(console: Client, ada: Bot) -> None:
    lease = take_one(ada)
    url = reverse("admin:jobs_job_release", args=[lease.id])
    Session.objects.all().delete()
    html = log_in_again(console, console.post(url, {"confirmed": "yes", "reason": "ada hangs"}))
    assert NOTHING_DONE in html
    assert 'value="ada hangs"' in html
    assert lease.job.status == "processing"


def test_of_other_forms_nothing_is_kept_but_that_nothing_was_done(console: Client) -> None:
    job = enqueue_one()
    Session.objects.all().delete()
    answer = console.post(reverse("admin:jobs_job_edit", args=[job.pk]), {"payload": '{"customer": 4711}'})
    html = log_in_again(console, answer)
    assert NOTHING_DONE in html
    assert "4711" not in html


def test_a_form_that_is_too_long_for_a_cookie_is_not_kept(console: Client) -> None:
    form = {"action": "cancel_jobs", "_selected_action": [str(n**9) for n in range(1, 900)], "confirmed": "yes"}
    Session.objects.all().delete()
    answer = console.post(LIST, form)
    assert len(answer.cookies["unfinished"].value) < 4000
    assert NOTHING_DONE in log_in_again(console, answer)


def test_a_cookie_that_is_not_ours_does_nothing(console: Client) -> None:
    console.cookies["unfinished"] = "WyIvYWRtaW4vIiwgW11d:x:y"
    assert NOTHING_DONE not in console.get(reverse("admin:index")).content.decode()
