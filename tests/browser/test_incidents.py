"""An operator meets an incident on Home, takes it on, and releases the job that it is about."""

import pytest

from alerts.incidents import reconcile
from jobs.sweep import run
from tests.alerts.passing import the_one
from tests.browser.people import log_in
from tests.cast import make_older, take_one

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=False)]


def test_taking_an_incident_on_and_releasing_its_job(page, olga, ada):
    lease = take_one(ada)
    make_older(lease, 3)
    run.sweep()
    reconcile.reconcile()
    log_in(page, olga)
    card = page.get_by_role("region", name="What needs you now")
    card.get_by_role("button", name="Acknowledge ada is stuck on a sum job").click()
    page.get_by_text("Acknowledged 1 incident.").wait_for()
    card.get_by_text("acknowledged by olga").wait_for()
    assert card.get_by_role("button").count() == 0
    card.get_by_role("link", name="incident", exact=True).click()
    page.get_by_text("not possible: acknowledged by olga").wait_for()
    page.get_by_role("link", name=f"Release job {lease.id}").click()
    page.get_by_role("button", name="Release").click()
    page.get_by_text("Released 1 job.").wait_for()
    reconcile.reconcile()
    page.goto(f"/admin/alerts/incident/{the_one().pk}/change/")
    page.get_by_text(f"Released job {lease.id}.").wait_for()


def test_a_remark_goes_into_the_history(page, olga, ada):
    make_older(take_one(ada), 3)
    run.sweep()
    reconcile.reconcile()
    log_in(page, olga)
    page.goto(f"/admin/alerts/incident/{the_one().pk}/change/")
    page.get_by_label("Remark").fill("I restart it")
    page.get_by_role("button", name="Acknowledge").click()
    page.get_by_text("Acknowledged: I restart it").wait_for()
