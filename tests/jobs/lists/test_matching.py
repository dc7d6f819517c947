"""How many jobs match, as a page says before it does something to all of them: no guess, and never too many."""

import re

import pytest
from django.urls import reverse

from jobs.admin import all_matching
from jobs.lists import job_list
from jobs.lists.job_list import JobFilter
from jobs.states import JobStatus
from tests.cast import enqueue_one, take_one

pytestmark = pytest.mark.django_db
LIST = reverse("admin:jobs_job_changelist")
PENDING = [JobStatus.PENDING]


@pytest.fixture
def ten(db):
    """Ten pending jobs, of which four are of customer 7."""
    return [enqueue_one(payload={"customer": 7 if n < 4 else 100 + n}) for n in range(10)]


def test_it_is_exact_up_to_a_bound_and_then_says_at_least(ten, monkeypatch):
    assert str(job_list.matching(JobFilter(view="pending"), PENDING)) == "10"
    monkeypatch.setattr(job_list, "EXACT", 10)
    assert str(job_list.matching(JobFilter(view="pending"), PENDING)) == "10"
    monkeypatch.setattr(job_list, "EXACT", 9)
    assert str(job_list.matching(JobFilter(view="pending"), PENDING)) == "at least 9"


def test_of_a_search_what_it_finds_is_counted(ten, monkeypatch):
    search = JobFilter(view="pending", text="payload.customer=7")
    assert str(job_list.matching(search, PENDING)) == "4"
    # The newest are searched: of those none.
    monkeypatch.setattr(job_list, "SEARCHED", 6)
    assert str(job_list.matching(search, PENDING)) == "at least 0"


def test_the_list_offers_as_many_as_the_search_finds(client, olga, ten, monkeypatch):
    monkeypatch.setattr(job_list, "PAGE", 3)
    client.force_login(olga)
    page = client.get(LIST, {"view": "pending", "q": "payload.customer=7"}).content.decode()
    assert "all 4 that match" in page
    page = client.get(LIST, {"view": "pending"}).content.decode()
    assert "all 10 that match" in page


def test_what_the_page_that_asks_says_is_what_is_done(client, olga, ten):
    client.force_login(olga)
    url = f"{LIST}?view=pending&q=payload.customer%3D7"
    form = {"action": "cancel_jobs", "select_across": "1"}
    assert "4 match now" in client.post(url, form).content.decode()
    done = client.post(url, form | {"confirmed": "yes", "reason": ""}, follow=True).content.decode()
    assert "Cancelled 4 jobs." in done


@pytest.mark.parametrize(("exact", "bar"), [(100, 'max="7" value="2"'), (3, 'max="3"')])
def test_the_bar_never_jumps(client, olga, ada, monkeypatch, exact, bar):
    monkeypatch.setattr(all_matching, "STEP", 2)
    monkeypatch.setattr(job_list, "EXACT", exact)
    for _ in range(7):
        take_one(ada)
    client.force_login(olga)
    url = f"{LIST}?view=held"
    html = client.post(url, {"action": "release_jobs", "select_across": "1", "confirmed": "yes"}).content.decode()
    assert f'<progress id="walk-bar" {bar}>' in html
    totals = []
    while "walk-bar" in html:
        totals.append(re.search(r'name="total" value="(\d+)"', html)[1])
        answer = client.post(
            url, dict(re.findall(r'name="([^"]+)" value="([^"]*)"', html.replace('name="stop" value="Stop"', "")))
        )
        html = answer.content.decode()
    assert len(totals) == 3
    assert len(set(totals)) == 1
