"""The story this system is for, as an operator sees it: a stuck job, one click, and the job is back."""

import pytest
from django.test import Client
from playwright.sync_api import expect

from jobs import lifecycle
from jobs.errors import LeaseLost
from jobs.lifecycle import By, Report
from jobs.models import Job
from jobs.states import JobStatus
from jobs.sweep import run
from tests.browser.people import log_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=False)]


@pytest.fixture
def stuck(transactional_db, ada, held_by, age):
    lease = held_by(ada)
    age(lease, 3)
    run.sweep()
    return lease


def test_an_operator_releases_a_stuck_job_and_another_bot_finishes_it(page, stuck, olga, bob):
    log_in(page, olga)
    needs = page.get_by_role("region", name="What needs you now")
    expect(needs).to_contain_text("silent for 3 m")
    needs.get_by_role("link", name=f"Release job {stuck.id}").click()
    expect(page.get_by_role("table", name="Affected jobs")).to_contain_text("ada")
    page.get_by_label("Reason").fill("ada hangs")
    page.get_by_role("button", name="Release 1 job").click()
    expect(page.get_by_text("Released 1 job.")).to_be_visible()
    expect(page.get_by_role("region", name="History")).to_contain_text("ada hangs")
    page.goto("/admin/")
    expect(page.get_by_text("Nothing is stuck.")).to_be_visible()

    (claimed,) = lifecycle.claim(bob)
    lifecycle.complete([Report(claimed.id, claimed.attempt, result=3)], by=By.bot(bob))
    with pytest.raises(LeaseLost):
        stuck.complete(result=4).raise_error(stuck.id)
    assert (stuck.job.status, stuck.job.result) == (JobStatus.SUCCEEDED, 3)


def test_several_jobs_are_released_from_the_list_and_the_rest_is_named(page, ada, held_by, olga):
    leases = [held_by(ada) for _ in range(3)]
    log_in(page, olga)
    page.goto("/admin/jobs/job/")
    page.check("#action-toggle")
    page.select_option("select[name=action]", "release_jobs")
    page.get_by_role("button", name="Run").or_(page.get_by_role("button", name="Go")).click()
    # While the page is open, one bot finishes.
    leases[0].complete(result=1)
    page.get_by_role("button", name="Release 3 jobs").click()
    expect(page.get_by_text("Released 2 jobs. 1 was no longer held and was left alone.")).to_be_visible()
    assert Job.objects.pending().count() == 2


def test_a_view_only_operator_sees_the_stuck_job_and_no_button(page, stuck, vera):
    log_in(page, vera)
    expect(page.get_by_role("region", name="What needs you now")).to_contain_text(f"job {stuck.id}")
    expect(page.get_by_role("link", name="Release")).to_have_count(0)


def test_release_is_within_reach_on_a_phone(page, stuck, olga):
    page.set_viewport_size({"width": 390, "height": 844})
    log_in(page, olga)
    button = page.get_by_role("link", name=f"Release job {stuck.id}")
    box = button.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    button.click()
    expect(page.get_by_role("button", name="Release 1 job")).to_be_visible()


def test_the_page_works_with_scripts_off(browser, live_server, stuck, olga):
    client = Client()
    client.force_login(olga)
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])
    page = context.new_page()
    page.goto(f"/admin/jobs/job/{stuck.id}/release/")
    page.get_by_role("button", name="Release 1 job").click()
    assert stuck.job.status == JobStatus.PENDING
    context.close()
