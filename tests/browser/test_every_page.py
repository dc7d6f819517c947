"""Every page of the console is for everybody: wide and on a phone, light and dark, and without a complaint.

Those that one sees when logged in have a file of their own for each section, `test_pages_of_….py`.
"""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.filled import PAGES
from tests.browser.pages import violations

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=False)]


def test_each_section_has_its_file():
    files = Path(__file__).parent.glob("test_pages_of_*.py")
    assert {path.stem.removeprefix("test_pages_of_") for path in files} == set(PAGES)


def test_the_page_to_log_in_is_for_everybody(page, live_server):
    page.goto("/admin/login/")
    assert violations(page) == []


def test_the_api_docs_work_under_the_policy(page, live_server):
    page.goto("/api/v1/docs#lease_lost")
    page.get_by_text("/api/v1/claim").first.wait_for()
    # The calls come after the page, above the errors.
    expect(page.locator("#lease_lost")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
