"""In the console a pending job is edited, another retried with changes or copied, and an act taken back."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from bots.models import AuditEntry, Bot
from jobs import lifecycle
from jobs.lifecycle import By
from jobs.models import Job
from tests.cast import enqueue_one, person_named, take_one

pytestmark = pytest.mark.django_db

LIST = reverse("admin:jobs_job_changelist")


@pytest.fixture
def console(client: Client, olga: Any) -> Client:
    client.force_login(olga)
    return client


def page(console: Client, name: str, *args: Any) -> str:
    answer = console.get(reverse(f"admin:jobs_job_{name}", args=args))
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_pending_job_is_edited(console: Client) -> None:
    job = enqueue_one(payload={"customer": 17})
    assert "customer" in page(console, "edit", job.pk)
    form = {"run_at": "2036-11-05T09:00:00", "payload": '{"customer": 18}', "reason": "the wrong one"}
    answer = console.post(reverse("admin:jobs_job_edit", args=[job.pk]), form, follow=True).content.decode()
    assert "Edited 1 job." in answer
    job.refresh_from_db()
    assert (job.run_at.year, job.payload) == (2036, {"customer": 18})


def test_what_is_not_changed_stays_to_the_microsecond(console: Client) -> None:
    job = enqueue_one()
    value = re.search(r'name="run_at" value="([^"]+)"', page(console, "edit", job.pk))
    assert value is not None
    form = {"run_at": value[1], "payload": '{"numbers": [1, 2]}'}
    answer = console.post(reverse("admin:jobs_job_edit", args=[job.pk]), form, follow=True).content.decode()
    assert "Nothing was changed" in answer
    assert Job.objects.get().run_at == job.run_at


def test_true_is_another_payload_than_one(console: Client) -> None:
    job = enqueue_one(payload={"urgent": 1})
    form = {"run_at": "2036-11-05T09:00:00", "payload": '{"urgent": true}'}
    console.post(reverse("admin:jobs_job_edit", args=[job.pk]), form)
    assert Job.objects.get().payload["urgent"] is True


def test_a_payload_that_is_no_json_is_named(console: Client) -> None:
    job = enqueue_one()
    form = {"run_at": "2036-11-05T09:00:00", "payload": "{"}
    answer = console.post(reverse("admin:jobs_job_edit", args=[job.pk]), form)
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()


def test_a_failed_job_is_retried_with_changes(console: Client, ada: Bot) -> None:
    lease = take_one(ada)
    lease.fail("no customer", retry=False)
    assert "Retry with changes" in page(console, "change", lease.id)
    form = {"payload": '{"customer": 18}', "reason": "a typo"}
    answer = console.post(reverse("admin:jobs_job_edit", args=[lease.id]), form, follow=True).content.decode()
    assert "Retried 1 job." in answer
    assert (lease.job.status, lease.job.payload) == ("pending", {"customer": 18})


def test_a_held_job_cannot_be_edited_and_who_may_not_is_refused(client: Client, console: Client, ada: Bot) -> None:
    lease = take_one(ada)
    answer = console.get(reverse("admin:jobs_job_edit", args=[lease.id]), follow=True).content.decode()
    assert "it cannot be edited" in answer
    job = enqueue_one()
    blind = person_named("blind", lambda name: name not in ("view_payload", "add_job"))
    client.force_login(blind)
    assert 'name="payload"' not in page(client, "edit", job.pk)
    client.force_login(person_named("looker", lambda name: name == "view_job"))
    assert client.get(reverse("admin:jobs_job_edit", args=[job.pk])).status_code == 403


def test_a_copy_begins_with_what_the_job_has(console: Client) -> None:
    job = enqueue_one(kind="mail", payload={"customer": 4711}, priority=7, key="order-7", group="acme")
    assert f"?copy={job.pk}" in page(console, "change", job.pk)
    form = console.get(reverse("admin:jobs_job_add") + f"?copy={job.pk}").content.decode()
    for shown in ("4711", 'value="7"', 'value="acme"'):
        assert shown in form
    assert "order-7" not in form


def test_a_cancel_is_taken_back_from_the_message_about_it(console: Client) -> None:
    jobs = [enqueue_one().pk for _ in range(3)]
    form = {"action": "cancel_jobs", "_selected_action": jobs, "confirmed": "yes", "reason": "the wrong filter"}
    answer = console.post(LIST, form, follow=True).content.decode()
    link = re.search(r'<a href="([^"]+)">Take it back</a>', answer)
    assert link is not None
    assert "3 jobs" in console.get(link[1]).content.decode()
    answer = console.post(link[1], {"reason": "oops"}, follow=True).content.decode()
    assert "3 jobs are as before." in answer
    assert Job.objects.pending().count() == 3


def test_a_job_offers_to_take_back_what_was_done_last(console: Client, olga: Any) -> None:
    job = enqueue_one()
    lifecycle.cancel([job.pk], by=By.operator(olga))
    entry = AuditEntry.objects.get(verb="cancel")
    assert reverse("admin:jobs_job_take_back", args=[entry.pk]) in page(console, "change", job.pk)
    answer = console.post(reverse("admin:jobs_job_take_back", args=[entry.pk]), follow=True).content.decode()
    assert "1 job is as before." in answer


def test_what_cannot_be_taken_back_says_why(client: Client, console: Client, ada: Bot, olga: Any) -> None:
    lease = take_one(ada)
    lifecycle.release([lease.id], by=By.operator(olga))
    entry = AuditEntry.objects.get(verb="release").pk
    answer = console.get(reverse("admin:jobs_job_take_back", args=[entry]), follow=True).content.decode()
    assert "only cancel and prioritise are taken back" in answer
    assert console.get(reverse("admin:jobs_job_take_back", args=[10**9])).status_code == 404
    client.force_login(person_named("looker", lambda name: name == "view_job"))
    assert client.get(reverse("admin:jobs_job_take_back", args=[entry])).status_code == 403


def test_a_job_is_released_to_another_bot_if_one_ticks_that(console: Client, ada: Bot) -> None:
    lease = take_one(ada)
    url = reverse("admin:jobs_job_release", args=[lease.id])
    assert "To another bot" in console.get(url).content.decode()
    console.post(url, {"to_another": "1"})
    assert lifecycle.claim(ada) == []
