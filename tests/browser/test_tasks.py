"""What operators do most, with the number of clicks that docs/console.md has for each."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone
from playwright.sync_api import expect

from jobs import lifecycle
from jobs.error_groups import counting
from jobs.lifecycle import By
from jobs.models import ErrorGroup, Job, JobEvent
from jobs.stats import rollup
from tests.browser.people import come_in
from tests.cast import enqueue_one, take_one

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=False)]


class Clicks:
    """Counts the clicks on a page."""

    def __init__(self, page):
        self.page, self.count = page, 0

    def on(self, role, name, **options):
        self.page.get_by_role(role, name=name, **options).first.click()
        self.count += 1


@pytest.fixture
def clicks(page, live_server, olga):
    """olga's clicks on a page on which she is logged in."""
    come_in(page.context, live_server, olga)
    return Clicks(page)


@pytest.fixture
def failures(ada):
    """Three mail jobs that failed alike, and one that failed otherwise."""
    leases = [take_one(ada, kind="mail", payload={"customer": f"cust-{n}"}) for n in range(4)]
    for n, lease in enumerate(leases):
        lease.fail("no address" if n == 3 else f"Traceback …\nTimeout: no answer in {n} s", retry=False)
    rollup.add_closed_minutes(timezone.now() + timedelta(minutes=2))
    counting.count_failures()
    return leases


def test_find_by_a_word(clicks, failures):
    clicks.page.goto("/admin/jobs/job/")
    clicks.page.fill("#searchbar", "cust-2")
    clicks.on("button", "Search", exact=True)
    expect(clicks.page.locator("#result_list tbody tr")).to_have_count(1)
    expect(clicks.page.locator("#result_list")).to_contain_text(str(failures[2].id))
    assert clicks.count == 1


def test_retry_all_jobs_with_the_same_error(clicks, failures):
    clicks.page.goto("/admin/jobs/job/?view=failed")
    clicks.on("link", "Timeout: no answer in # s")
    clicks.on("button", re.compile("Retry all 3"))
    clicks.on("button", re.compile("Retry (all|3)"))
    expect(clicks.page.get_by_text("Retried 3 jobs.")).to_be_visible()
    assert Job.objects.pending().count() == 3
    assert clicks.count == 3


def test_resolve_an_error(clicks, failures):
    clicks.page.goto("/admin/jobs/job/?view=failed")
    clicks.on("link", "Timeout: no answer in # s")
    clicks.on("button", "Resolve", exact=True)
    expect(clicks.page.get_by_text("Resolved 1 error group.")).to_be_visible()
    assert ErrorGroup.objects.filter(status="resolved").count() == 1
    assert clicks.count == 2


def test_retry_with_another_payload(clicks, failures):
    clicks.page.goto(f"/admin/jobs/job/{failures[3].id}/change/")
    clicks.on("link", "Retry with changes")
    clicks.page.fill("#id_payload", '{"customer": "cust-9"}')
    clicks.on("button", "Retry with these")
    expect(clicks.page.get_by_text("Retried 1 job.")).to_be_visible()
    assert failures[3].job.payload == {"customer": "cust-9"}
    assert clicks.count == 2


def test_take_back_a_cancel(clicks):
    job = enqueue_one()
    clicks.page.goto(f"/admin/jobs/job/{job.pk}/cancel/")
    clicks.page.get_by_role("button", name="Cancel 1 job").click()
    clicks.on("link", "Take it back")
    clicks.on("button", "Take it back")
    expect(clicks.page.get_by_text("1 job is as before.")).to_be_visible()
    assert Job.objects.get().status == "pending"
    assert clicks.count == 2


def test_who_released_what_last_week(clicks, ada, olga):
    before = take_one(ada)
    lifecycle.release([before.id], by=By.operator(olga), reason="a month ago")
    JobEvent.objects.update(at=Now() - timedelta(days=30))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE bots_auditentry SET at = at - interval '30 days'")
    lease = take_one(ada, priority=2_000_000)
    lifecycle.release([lease.id], by=By.operator(olga), reason="ada hangs")
    lifecycle.cancel([lease.id], by=By.operator(olga), reason="not wanted")
    clicks.page.goto("/admin/jobs/jobevent/")
    clicks.page.select_option("#id_verb", "release")
    clicks.count += 1
    week_ago = timezone.localtime() - timedelta(days=7)
    clicks.page.fill("#id_from", week_ago.strftime("%Y-%m-%dT%H:%M:%S"))
    clicks.on("button", "Show", exact=True)
    log = clicks.page.get_by_role("group", name="History")
    expect(log).to_contain_text("ada hangs")
    expect(log).to_contain_text("olga")
    expect(log).not_to_contain_text("not wanted")
    expect(log).not_to_contain_text("a month ago")
    assert clicks.count == 2


def test_why_a_job_is_pending(clicks):
    job = enqueue_one()
    clicks.page.goto("/admin/jobs/job/?view=pending")
    clicks.on("link", str(job.pk), exact=True)
    expect(clicks.page.locator("#why")).to_contain_text("No bot takes jobs of kind sum.")
    assert clicks.count == 1
