"""Retry all failed, in the console: of each key the newest, with the number of those left out."""

from typing import Any

import pytest
from django.urls import reverse

from bots.models import Bot
from jobs.admin import all_matching
from jobs.models import Job
from tests.cast import enqueue_one, take_one
from tests.jobs.admin.test_all_matching import form, hidden

pytestmark = pytest.mark.django_db

LIST = reverse("admin:jobs_job_changelist")


@pytest.fixture
def failed(ada: Bot) -> list[Job]:
    jobs = []
    for n in range(40):
        lease = take_one(ada, key="refresh", unique="unfinished")
        lease.fail(retry=False)
        jobs.append(lease.job)
        if n % 10 == 0:
            take_one(ada).fail(retry=False)
    return jobs


def test_all_that_are_ticked(client: Any, olga: Any, failed: list[Job]) -> None:
    client.force_login(olga)
    page = client.post(LIST, form("retry_jobs", failed, confirmed="yes"), follow=True).content.decode()
    assert "Retried 1 job. 39 were left out: another job has the same key." in page
    assert Job.objects.get(key="refresh", status="pending") == failed[-1]


def test_all_that_match_step_by_step(
    client: Any, olga: Any, failed: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(all_matching, "STEP", 7)
    client.force_login(olga)
    url = f"{LIST}?view=failed"
    answer = client.post(url, form("retry_jobs", select_across="1", confirmed="yes"))
    while answer.status_code == 200:
        answer = client.post(url, form("retry_jobs") | hidden(answer.content.decode()))
    page = client.get(url).content.decode()
    assert "Retried 5 jobs. 39 were left out: another job has the same key." in page
    assert Job.objects.get(key="refresh", status="pending") == failed[-1]


def test_one_by_itself(client: Any, olga: Any, failed: list[Job]) -> None:
    enqueue_one(key="refresh", unique="unfinished")
    client.force_login(olga)
    url = reverse("admin:jobs_job_retry", args=[failed[-1].pk])
    page = client.post(url, {"reason": "again"}, follow=True).content.decode()
    assert "Retried 0 jobs. 1 was left out: another job has the same key." in page
