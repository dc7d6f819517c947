"""A job's page: what each attempt ended with stays, the end of an error is never cut, and what it carries is a file."""

import json
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from bots.models import Bot
from jobs import lifecycle
from jobs.explain.attempts import attempts
from jobs.lifecycle import By
from jobs.models import Job
from jobs.templatetags.console import both_ends
from tests.cast import Lease, enqueue_one, make_older, person_named, take_one

pytestmark = pytest.mark.django_db

TRACE = "Traceback (most recent call last):\n" + "  File worker.py, line 8\n" * 60 + "ValueError: no address"


@pytest.fixture
def console(client: Client, olga: Any) -> Client:
    client.force_login(olga)
    return client


def page_of(console: Client, lease: Lease | Job) -> str:
    pk = lease.id if isinstance(lease, Lease) else lease.pk
    answer = console.get(reverse("admin:jobs_job_change", args=[pk]))
    assert answer.status_code == 200
    return answer.content.decode()


def attempts_of(job: Job) -> list[Any]:
    job = Job.objects.select_related("claimed_by", "finished_by").get(pk=job.pk)
    return attempts(job, list(job.events.select_related("bot")))


def test_each_attempt_says_who_had_it_how_long_how_far_and_what_it_ended_with(ada: Bot, bob: Bot, olga: Any) -> None:
    lease = take_one(ada)
    lease.heartbeat(progress=40)
    make_older(lease, 3)
    lease.fail(TRACE)
    Job.objects.update(run_at="2020-01-01T00:00Z")
    lifecycle.claim(bob)
    lifecycle.release([lease.id], by=By.operator(olga), reason="bob hangs")
    lifecycle.claim(ada)
    last, second, first = attempts_of(lease.job)
    assert (last.number, last.bot, last.ended) == (3, "ada", "")
    assert (second.bot, second.ended, second.reason, second.error) == ("bob", "released by olga", "bob hangs", "")
    assert (first.bot, first.ended, first.progress, first.line) == ("ada", "failed", 40, "ValueError: no address")
    assert first.took.startswith("3 m")
    assert first.error == TRACE


def test_the_error_of_an_attempt_stays_after_a_retry(console: Client, ada: Bot, olga: Any) -> None:
    lease = take_one(ada)
    lease.fail(TRACE, retry=False)
    lifecycle.retry([lease.id], by=By.operator(olga))
    assert lease.job.error == ""
    page = page_of(console, lease)
    assert "ValueError: no address" in page
    assert TRACE.splitlines()[0] in page


def test_a_success_and_a_late_result_are_attempts(ada: Bot, bob: Bot, olga: Any) -> None:
    lease = take_one(ada)
    lifecycle.release([lease.id], by=By.operator(olga))
    lease.complete("late")
    (claimed,) = lifecycle.claim(bob)
    lifecycle.complete([lifecycle.Report(claimed.id, claimed.attempt)], by=By.bot(bob))
    second, first = attempts_of(lease.job)
    assert (second.bot, second.ended) == ("bob", "completed")
    assert first.late


def test_a_text_is_cut_in_its_middle() -> None:
    cut = both_ends(TRACE)
    assert cut.endswith("ValueError: no address")
    assert cut.startswith("Traceback")
    assert len(cut) < 520
    assert both_ends("short") == "short"


def test_acts_that_are_not_possible_stand_apart_with_their_reasons(console: Client) -> None:
    page = page_of(console, enqueue_one())
    tools, _, rest = page.partition('id="not-possible"')
    assert "forbidden" not in page
    assert "Cancel" in tools
    assert "Release: only a claimed or processing job can be released." in rest


def test_what_it_carries_is_a_file(console: Client, ada: Bot) -> None:
    payload = {"customer": 17, "name": "Zoë", "list": list(range(2000))}
    lease = take_one(ada, payload=payload)
    lease.fail(TRACE, retry=False)
    assert re.search(r"<summary>\d+ characters of JSON</summary>", page_of(console, lease))
    answer = console.get(reverse("admin:jobs_job_payload", args=[lease.id]))
    assert json.loads(answer.content) == payload
    assert f"job-{lease.id}-payload.json" in answer["Content-Disposition"]
    assert console.get(reverse("admin:jobs_job_error", args=[lease.id])).content.decode() == TRACE
    assert console.get(reverse("admin:jobs_job_result", args=[lease.id])).content == b"null"
    assert console.get(reverse("admin:jobs_job_payload", args=[10**9])).status_code == 404


def test_the_files_are_for_those_who_may_see_payloads(client: Client, ada: Bot) -> None:
    lease = take_one(ada)
    lease.fail(TRACE)
    client.force_login(person_named("blind", lambda name: name != "view_payload"))
    for name in ("payload", "result", "error"):
        assert client.get(reverse(f"admin:jobs_job_{name}", args=[lease.id])).status_code == 403
    assert "ValueError" not in page_of(client, lease)
