"""The list of failed jobs says why: the error, the key, the bot and the payload, and which errors are alike."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from bots.models import AuditEntry, Bot
from jobs.error_groups import counting
from jobs.lists import job_list
from jobs.models import ErrorGroup, Job
from jobs.stats import rollup
from tests.cast import enqueue_one, person_named, take_one

pytestmark = pytest.mark.django_db

LIST = reverse("admin:jobs_job_changelist")
TRACE = "Traceback (most recent call last):\n  File worker.py\nValueError: customer 17 has no address"


@pytest.fixture
def failed(ada: Bot) -> Job:
    lease = take_one(ada, kind="mail", key="cust-17", payload={"to": "ann@example.org", "text": "x" * 400})
    lease.fail(TRACE, retry=False)
    rollup.add_closed_minutes(timezone.now() + timedelta(minutes=2))
    counting.count_failures()
    return lease.job


@pytest.fixture
def console(client: Client, olga: Any) -> Client:
    client.force_login(olga)
    return client


def text_of(answer: Any) -> str:
    return re.sub(r"<[^>]+>", " ", answer.content.decode())


def test_a_row_has_the_last_line_of_the_error_the_key_the_bot_and_the_first_words(console: Client, failed: Job) -> None:
    answer = console.get(LIST + "?view=failed")
    text = text_of(answer)
    for shown in ("ValueError: customer 17 has no address", "cust-17", "ada", "ann@example.org"):
        assert shown in text
    assert "Traceback" not in text
    assert "x" * 200 not in text
    group = ErrorGroup.objects.get()
    assert f'href="/admin/jobs/errorgroup/{group.pk}/change/">ValueError: customer 17' in answer.content.decode()
    assert "ValueError: customer # has no address" in text


def test_who_may_not_see_payloads_sees_neither_errors_nor_groups(client: Client, failed: Job) -> None:
    client.force_login(person_named("blind", lambda name: name != "view_payload"))
    answer = client.get(LIST + "?view=failed")
    assert "address" not in text_of(answer)
    assert "ann@" not in text_of(answer)
    group = ErrorGroup.objects.get()
    assert client.get(reverse("admin:jobs_errorgroup_changelist")).status_code == 403
    assert client.get(reverse("admin:jobs_errorgroup_change", args=[group.pk])).status_code == 403
    assert client.post(reverse("admin:jobs_errorgroup_act", args=[group.pk]), {"do": "retry"}).status_code == 403


def test_columns_are_chosen_and_kept_for_a_view(console: Client, failed: Job) -> None:
    answer = console.get(LIST + "?view=failed&column=key&column=priority")
    assert "column-shown_key" in answer.content.decode()
    assert "column-shown_error" not in answer.content.decode()
    again = console.get(LIST + "?view=failed").content.decode()
    assert "column-shown_key" in again and "column-shown_error" not in again
    assert "column-shown_status" in console.get(LIST).content.decode()


@pytest.mark.parametrize("order", ["error", "-error", "key", "-bot", "since", "nonsense"])
def test_the_list_is_sorted_by_what_one_asks_for(console: Client, ada: Bot, order: str) -> None:
    ids = []
    for n in ("b", "a", "c"):
        lease = take_one(ada, key=f"{n}-key")
        lease.fail(f"{n} broke", retry=False)
        ids.append(lease.id)
    answer = console.get(LIST + f"?view=failed&order={order}")
    shown = [int(pk) for pk in re.findall(r'name="_selected_action" value="(\d+)"', answer.content.decode())]
    b, a, c = ids
    by_name = {"error": [a, b, c], "-error": [c, b, a], "key": [a, b, c], "since": [b, a, c]}
    assert shown == by_name.get(order, [c, a, b])


def test_a_sorted_list_goes_on_and_says_how_much_is_sorted(
    console: Client, ada: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_list, "PAGE", 2)
    monkeypatch.setattr(job_list, "SORTED", 3)
    for n in range(4):
        enqueue_one(key=f"{n}")
    answer = text_of(console.get(LIST + "?order=key"))
    assert "Only the newest 3 are sorted." in answer
    page = console.get(LIST + "?order=key&skip=2").content.decode()
    assert len(re.findall('name="_selected_action"', page)) == 1


def test_the_page_of_a_group_has_its_counts_its_jobs_and_the_whole_error(console: Client, failed: Job) -> None:
    group = ErrorGroup.objects.get()
    text = text_of(console.get(reverse("admin:jobs_errorgroup_change", args=[group.pk])))
    assert "mail jobs failed so 1 time" in text
    assert "1 is failed now." in text
    assert "ada (1)" in text
    assert "Traceback (most recent call last):" in text
    listed = text_of(console.get(reverse("admin:jobs_errorgroup_changelist")))
    assert "ValueError: customer # has no address" in listed


def test_all_of_a_group_are_retried_after_a_confirmation(console: Client, failed: Job, ada: Bot) -> None:
    other = take_one(ada, kind="mail")
    other.fail("no name", retry=False)
    group = ErrorGroup.objects.get()
    url = LIST + f"?view=failed&q=error_group:{group.pk}"
    form = {"action": "retry_jobs", "select_across": "1", "_selected_action": "0"}
    answer = console.post(url, form)
    assert "Retry: all that match?" in text_of(answer)
    answer = console.post(url, form | {"confirmed": "yes", "reason": "the address is there"}, follow=True)
    assert "Retried 1 job." in text_of(answer)
    failed.refresh_from_db()
    assert (failed.status, other.job.status) == ("pending", "failed")


def test_so_many_of_a_group_are_retried(console: Client, failed: Job) -> None:
    act = reverse("admin:jobs_errorgroup_act", args=[ErrorGroup.objects.get().pk])
    assert "Give a number from 1 to" in text_of(console.post(act, {"do": "retry", "most": "0"}, follow=True))
    answer = console.post(act, {"do": "retry", "most": "1", "reason": "once"}, follow=True)
    assert "Retried 1 job." in text_of(answer)
    assert AuditEntry.objects.get(verb="retry").reason == "once"


def test_a_group_is_resolved_ignored_and_opened_again(console: Client, failed: Job, vera: Any) -> None:
    group = ErrorGroup.objects.get()
    act = reverse("admin:jobs_errorgroup_act", args=[group.pk])
    for name, done in (("resolve", "Resolved"), ("ignore", "Ignored"), ("reopen", "Opened")):
        answer = console.post(act, {"do": name, "reason": "fixed in 4.2"}, follow=True)
        assert f"{done} 1 error group." in text_of(answer)
    console.force_login(vera)
    assert console.post(act, {"do": "resolve"}).status_code == 403
    assert console.get(reverse("admin:jobs_errorgroup_change", args=[group.pk])).status_code == 200
