"""Lists and pages refresh themselves, and what one has ticked, typed or scrolled to stays."""

import pytest
from playwright.sync_api import expect

from bots import roster
from bots.models import Bot
from jobs import lifecycle
from jobs.lifecycle import By
from jobs.lists import job_list
from tests.browser.people import come_in
from tests.cast import enqueue_one, take_one

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=False)]

#: Milliseconds after which a list or page refreshes.
REFRESH = 5000


@pytest.fixture
def live(page, live_server, olga):
    """`live(address)`: olga opens this page, with a clock that the test moves on."""
    come_in(page.context, live_server, olga)
    page.clock.install()

    def opened(address):
        page.goto(address)
        expect(page.locator("#updated")).to_contain_text("Updated")
        return page

    return opened


def test_rows_get_their_figures_in_place_and_what_is_new_waits_to_be_shown(live, ada):
    first, second = take_one(ada), take_one(ada)
    page = live("/admin/jobs/job/?view=held")
    page.check(f'input[value="{first.id}"]')
    first.heartbeat(progress=70)
    second.complete(1)
    third = take_one(ada)
    page.clock.fast_forward(REFRESH)
    expect(page.get_by_role("link", name="1 new, show")).to_be_visible(timeout=15_000)
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.filter(has=page.locator(f'input[value="{first.id}"]'))).to_contain_text("70 %")
    expect(page.locator(f'input[value="{first.id}"]')).to_be_checked()
    # What is not in the list any more is struck out, and its ages stand still.
    expect(page.locator("tr[data-gone]")).to_have_count(1)
    page.get_by_role("link", name="1 new, show").click()
    expect(page.locator(f'input[value="{third.id}"]')).to_be_visible()


@pytest.mark.parametrize("name", ["bots/bot", "jobs/jobkind", "alerts/incident", "jobs/errorgroup", "jobs/jobevent"])
def test_each_list_refreshes_and_typing_in_its_search_is_kept(live, ada, held_by, name):
    held_by(ada)
    page = live(f"/admin/{name}/")
    page.locator("#searchbar").fill("ad")
    with page.expect_response(lambda response: response.request.headers.get("hx-request") == "true") as looked:
        page.clock.fast_forward(REFRESH)
    assert looked.value.status == 200
    expect(page.locator("#searchbar")).to_have_value("ad")
    expect(page.locator("#updated")).to_contain_text("Updated")


def test_the_history_counts_what_is_new_and_a_line_that_is_open_stays_open(live, ada, olga):
    lease = take_one(ada)
    lifecycle.release([lease.id], by=By.operator(olga), reason="ada hangs")
    page = live("/admin/jobs/jobevent/")
    line = page.locator("#result_list details").first
    line.locator("summary").click()
    lifecycle.cancel([lease.id], by=By.operator(olga), reason="not needed")
    page.clock.fast_forward(REFRESH)
    page.get_by_role("link", name="1 new, show").wait_for(timeout=15_000)
    expect(line).to_have_attribute("open", "")
    expect(page.locator("tr[data-gone]")).to_have_count(0)
    page.get_by_role("link", name="1 new, show").click()
    expect(page.locator("#result_list tbody tr").first).to_contain_text("not needed")


def test_rows_that_new_ones_push_to_the_next_page_are_not_struck_out(live, monkeypatch):
    monkeypatch.setattr(job_list, "PAGE", 3)
    jobs = [enqueue_one().pk for _ in range(3)]
    page = live("/admin/jobs/job/?view=all")
    lifecycle.cancel(jobs[1:2], by=lifecycle.SWEEP)
    enqueue_one()
    page.clock.fast_forward(REFRESH)
    page.get_by_role("link", name="1 new, show").wait_for(timeout=15_000)
    expect(page.locator("tr[data-gone]")).to_have_count(0)
    expect(page.locator("tr[data-pushed]")).to_have_count(1)


def test_a_bot_is_seen_to_be_paused_and_the_form_below_keeps_what_is_typed(live, ada):
    page = live(f"/admin/bots/bot/{ada.pk}/change/")
    page.locator("#id_capacity").fill("7")
    roster.pause(Bot.objects.filter(pk=ada.pk))
    page.clock.fast_forward(REFRESH)
    expect(page.locator("#state")).to_contain_text("paused", timeout=15_000)
    expect(page.locator("#id_capacity")).to_have_value("7")


def test_nothing_is_asked_for_while_the_tab_is_hidden(live, ada):
    page = live("/admin/bots/bot/")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate("Object.defineProperty(document, 'hidden', {get: () => true, configurable: true})")
    page.clock.fast_forward(4 * REFRESH)
    assert asked == []
    page.evaluate("delete document.hidden")
    with page.expect_request("**/admin/bots/bot/"):
        page.clock.fast_forward(REFRESH)


def test_ages_on_a_page_that_is_not_refreshed_stand_still(page, live_server, olga, ada):
    lease = take_one(ada)
    come_in(page.context, live_server, olga)
    page.clock.install()
    page.goto(f"/admin/jobs/job/{lease.id}/release/")
    age = page.locator("#affected time[data-age]").first
    before = age.inner_text()
    page.clock.fast_forward(60_000)
    assert age.inner_text() == before


def test_a_jobs_page_follows_the_job_and_what_one_has_opened_stays_open(live, ada):
    lease = take_one(ada, payload={"text": "x" * 2000})
    page = live(f"/admin/jobs/job/{lease.id}/change/")
    text = page.locator("#live .json details").last
    was_open = text.evaluate("text => text.open")
    text.locator("summary").click()
    lease.heartbeat(progress=40, note="half way")
    page.clock.fast_forward(REFRESH)
    expect(page.locator("#live")).to_contain_text("half way", timeout=15_000)
    assert page.locator("#live .json details").last.evaluate("text => text.open") != was_open
    lease.complete(3)
    page.clock.fast_forward(REFRESH)
    expect(page.locator("#state")).to_contain_text("succeeded", timeout=15_000)
