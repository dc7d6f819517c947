"""An operator's tasks in an outage, with as few clicks as docs/console.md has for each."""

import pytest
from playwright.sync_api import expect

from bots.models import Bot
from jobs.models import Job
from jobsite.dev import night
from tests.browser.people import come_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=False)]


class Clicks:
    """A page of which each click is counted."""

    def __init__(self, page):
        self.page, self.n = page, 0

    def on(self, role, name, within=None):
        """Click on the first element with this role and name."""
        (within or self.page).get_by_role(role, name=name).first.click()
        self.n += 1


@pytest.fixture
def clicks(page, live_server, olga):
    night.seed(300, lambda n: None)
    come_in(page.context, live_server, olga)
    page.goto("/admin/")
    return Clicks(page)


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_the_first_release_is_on_the_first_screen_and_40_jobs_go_back_in_3_clicks(clicks, width, height):
    page = clicks.page
    page.set_viewport_size({"width": width, "height": height})
    page.goto("/admin/")
    button = page.get_by_role("link", name="Release these 40 crawl jobs")
    box = button.bounding_box()
    assert box["y"] + box["height"] <= height
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    clicks.on("link", "Release these 40")
    # The reason has the focus.
    expect(page.get_by_label("Reason")).to_be_focused()
    page.keyboard.type("The bot hangs")
    clicks.on("button", "Release 40 jobs")
    expect(page.get_by_text("Released 40 jobs.")).to_be_visible()
    assert clicks.n <= 3
    assert not Job.objects.stuck().filter(kind="crawl").exists()


def test_a_group_opens_to_its_jobs_by_the_keyboard_and_stays_open(clicks):
    page = clicks.page
    page.clock.install()
    page.goto("/admin/")
    group = page.locator("#jobs-silent-crawl")
    group.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(group).to_have_attribute("open", "")
    expect(group.get_by_role("link", name="Release job").first).to_be_visible()
    page.clock.fast_forward(5000)
    worst = group.locator("[id^=stuck-bot-]").first.inner_text()
    Bot.objects.filter(name=worst).update(name="crawler-one")
    page.clock.fast_forward(5000)
    expect(group).to_contain_text("crawler-one", timeout=15_000)
    expect(group).to_have_attribute("open", "")
