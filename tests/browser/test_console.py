"""The console's stories in a real browser. What the browser's console says in anger fails each of them."""

import re

import pytest
from playwright.sync_api import expect

from jobs import lifecycle
from jobs.admin import all_matching
from jobs.models import Job, JobKind
from jobs.states import JobStatus
from jobs.sweep import run
from jobs.templatetags.console import PLACES
from tests.browser.people import come_in
from tests.cast import enqueue_one, take_one

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=False)]

#: Milliseconds after which Home refreshes. The browser's clock is moved on by that, so that no test waits for it.
REFRESH = 5000


@pytest.fixture
def olgas(page, live_server, olga):
    """A page on which olga is logged in."""
    come_in(page.context, live_server, olga)
    return page


def test_a_bot_that_gets_stuck_is_seen_on_home_within_one_refresh_and_nothing_is_lost(olgas, ada, age):
    lease = take_one(ada)
    olgas.clock.install()
    olgas.goto("/admin/")
    expect(olgas.get_by_text("Nothing is stuck.")).to_be_visible()
    # An open menu, the focus and the scroll stay where they are.
    olgas.locator("#chart-figures summary").click()
    olgas.locator("#all-bots").focus()
    age(lease, 3)
    run.sweep()
    olgas.clock.fast_forward(REFRESH)
    needs = olgas.get_by_role("region", name="What needs you now")
    expect(needs).to_contain_text("silent for 3 m")
    expect(needs.get_by_role("link", name=f"Release job {lease.id}")).to_be_visible()
    expect(olgas.locator("#chart-figures")).to_have_attribute("open", "")
    assert olgas.evaluate("document.activeElement.id") == "all-bots"
    expect(olgas.get_by_role("link", name=re.compile("ada.*: potentially stuck"))).to_be_visible()


def test_on_a_phone_every_place_is_there_at_once_and_large_enough_for_a_thumb(browser, live_server, admin_user):
    context = browser.new_context(base_url=live_server.url, viewport={"width": 390, "height": 844})
    come_in(context, live_server, admin_user)
    page = context.new_page()
    page.goto("/admin/")
    nav = page.get_by_role("navigation", name="Places")
    assert nav.evaluate("nav => nav.scrollWidth <= nav.clientWidth")
    links = nav.get_by_role("link").all()
    # Who may see everything has the most of them.
    assert len(links) == len(PLACES)
    for link in links:
        box = link.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390, link.inner_text()
        assert box["height"] >= 44
    nav.get_by_role("link", name="Channels").click()
    expect(nav.get_by_role("link", name="Channels")).to_have_attribute("aria-current", "page")
    context.close()


def test_home_says_when_it_could_not_refresh_and_when_it_can_again(browser, live_server, olga):
    # Of its own: here the browser's console does complain, of the server that is not there.
    context = browser.new_context(base_url=live_server.url)
    come_in(context, live_server, olga)
    page = context.new_page()
    page.clock.install()
    page.goto("/admin/")
    expect(page.locator("#updated")).to_contain_text("Updated")
    context.set_offline(True)
    page.clock.fast_forward(REFRESH)
    expect(page.locator("#updated")).to_contain_text("The server cannot be reached; trying again.")
    expect(page.get_by_role("status")).to_contain_text("cannot be reached")
    context.set_offline(False)
    page.clock.fast_forward(REFRESH)
    expect(page.locator("#updated")).to_contain_text("Updated")
    # Somebody whose session has ended is told so, and keeps the page.
    context.clear_cookies()
    page.clock.fast_forward(REFRESH)
    expect(page.locator("#updated")).to_contain_text("You are logged out")
    expect(page.get_by_role("region", name="What needs you now")).to_be_visible()
    context.close()


def test_a_failed_job_is_retried(olgas, ada):
    lease = take_one(ada)
    lease.fail("ValueError: no address", retry=False)
    olgas.goto("/admin/jobs/job/?view=failed")
    olgas.get_by_role("link", name=f"Retry job {lease.id}").click()
    olgas.get_by_label("Reason").fill("the address is there now")
    olgas.get_by_role("button", name="Retry 1 job").click()
    expect(olgas.get_by_text("Retried 1 job.")).to_be_visible()
    expect(olgas.get_by_role("region", name="History")).to_contain_text("retried by olga")
    assert lease.job.status == JobStatus.PENDING


def test_a_job_is_cancelled_from_its_page(olgas):
    job = enqueue_one()
    olgas.goto(f"/admin/jobs/job/{job.pk}/change/")
    expect(olgas.locator("#why")).to_contain_text("No bot takes jobs of kind sum.")
    olgas.locator("#not-possible summary").click()
    expect(olgas.get_by_text("Release: only a claimed or processing job can be released.")).to_be_visible()
    olgas.get_by_role("link", name="Cancel", exact=True).click()
    olgas.get_by_role("button", name="Cancel 1 job").click()
    expect(olgas.locator("#why")).to_contain_text("olga cancelled it.")
    assert Job.objects.get().status == JobStatus.CANCELLED


def test_a_kind_is_paused_and_resumed_from_its_page(olgas, ada):
    enqueue_one()
    olgas.goto("/admin/jobs/jobkind/sum/change/")
    olgas.get_by_role("button", name="Pause: assign no jobs of this kind").click()
    expect(olgas.get_by_text("Paused 1 kind.")).to_be_visible()
    assert lifecycle.claim(ada) == []
    olgas.get_by_role("button", name="Resume: assign its jobs again").click()
    expect(olgas.get_by_text("Resumed 1 kind.")).to_be_visible()
    assert not JobKind.objects.get().paused


def test_a_file_with_a_bad_line_is_looked_at_and_its_good_jobs_are_loaded(olgas, tmp_path):
    file = tmp_path / "jobs.ndjson"
    file.write_text('{"kind": "sum"}\n{"kind": "sum", "priority": "high"}\n{"kind": "divide", "payload": [1]}\n')
    olgas.goto("/admin/jobs/job/")
    olgas.get_by_role("link", name="Upload a file").click()
    olgas.set_input_files("#id_file", str(file))
    olgas.get_by_role("button", name="Check the file").click()
    expect(olgas.locator("#bad-lines")).to_contain_text("Line 2: priority:")
    assert not Job.objects.exists()
    olgas.get_by_role("button", name="Load the 2 good jobs").click()
    expect(olgas.get_by_text("Enqueued 2 jobs. Skipped 1 bad line.")).to_be_visible()
    assert Job.objects.pending().count() == 2


def test_all_that_match_are_released_with_a_bar_that_runs_by_itself(olgas, ada, monkeypatch):
    monkeypatch.setattr(all_matching, "STEP", 10)
    for _ in range(55):
        take_one(ada)
    olgas.goto("/admin/jobs/job/?view=held")
    olgas.check("#across")
    olgas.select_option("select[name=action]", "release_jobs")
    olgas.get_by_role("button", name="Go", exact=True).click()
    expect(olgas.get_by_text("55 match now")).to_be_visible()
    olgas.get_by_role("button", name="Release all that match").click()
    expect(olgas.get_by_text("Released 55 jobs.")).to_be_visible()
    assert not Job.objects.held().exists()


def test_with_the_keyboard_only_a_job_is_found_and_released(olgas, ada):
    other, lease = take_one(ada), take_one(ada)
    olgas.goto("/admin/jobs/job/?view=held")
    olgas.keyboard.press("?")
    expect(olgas.get_by_role("dialog", name="Keyboard")).to_be_visible()
    olgas.keyboard.press("Escape")
    olgas.keyboard.press("/")
    expect(olgas.locator("#searchbar")).to_be_focused()
    olgas.keyboard.type(f"{other.id}")
    olgas.keyboard.press("Enter")
    expect(olgas.locator("#result_list tbody tr")).to_have_count(1)
    olgas.goto("/admin/jobs/job/?view=held")
    olgas.keyboard.press("j")
    olgas.keyboard.press("j")
    olgas.keyboard.press("k")
    expect(olgas.locator("tr[data-here]")).to_contain_text(f"{lease.id}")
    olgas.keyboard.press("r")
    expect(olgas.get_by_role("button", name="Release 1 job")).to_be_visible()
    olgas.get_by_label("Reason").focus()
    olgas.keyboard.type("ada hangs")
    olgas.keyboard.press("Enter")
    expect(olgas.get_by_text("Released 1 job.")).to_be_visible()
    assert (lease.job.status, other.job.status) == (JobStatus.PENDING, JobStatus.PROCESSING)
    olgas.wait_for_load_state()  # the text is there before the script that listens to keys
    olgas.keyboard.press("g")
    olgas.keyboard.press("h")
    expect(olgas.get_by_role("region", name="What needs you now")).to_be_visible()


def test_with_scripts_off_every_way_still_works(browser, live_server, olga, ada, monkeypatch):
    monkeypatch.setattr(all_matching, "STEP", 2)
    leases = [take_one(ada) for _ in range(4)]
    leases[3].fail(retry=False)
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    come_in(context, live_server, olga)
    page = context.new_page()
    page.goto("/admin/")
    expect(page.get_by_role("region", name="Fleet: 1 bot")).to_be_visible()
    # A menu, a search, a filter.
    page.goto("/admin/jobs/job/")
    page.locator("#status-menu summary").click()
    page.locator("#status-menu").get_by_role("link", name="failed").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    page.get_by_role("link", name=f"Retry job {leases[3].id}").click()
    page.get_by_role("button", name="Retry 1 job").click()
    # All that match, step by step, by hand.
    page.goto("/admin/jobs/job/?view=held&kind=sum")
    page.check(f'input[value="{leases[0].id}"]')
    page.select_option("select[name=action]", "release_jobs")
    page.get_by_role("button", name="Go", exact=True).click()
    page.get_by_role("button", name="Release 1 job").click()
    expect(page.get_by_text("Released 1 job.")).to_be_visible()
    page.goto("/admin/bots/bot/")
    page.get_by_role("link", name="ada").first.click()
    page.get_by_role("button", name="Release its jobs").click()
    page.get_by_role("button", name="Release 2 jobs").click()
    assert Job.objects.pending().count() == 4
    page.goto("/admin/bots/bot/")
    page.get_by_role("link", name="ada").first.click()
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_text("Paused 1 bot;")).to_be_visible()
    context.close()
