"""A real Chromium, Debian's, driven by Playwright. A page that complains in the browser's console fails its test."""

import os
import shutil
from pathlib import Path

import pytest
from django.test import modify_settings
from pytest_django.live_server_helper import LiveServer

from tests.browser.filled import fill
from tests.browser.pages import Visitor
from tests.browser.people import come_in
from tests.cast import person_named
from tests.emptied import empty_tables

os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # Playwright's synchronous API runs a loop beneath the test

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
#: Features that are turned off: those that Playwright turns off, whose list this one replaces, and the pop-ups of the
#: address bar. These are pages of Chromium's own, made for each window, and take longer than most pages of the site.
WITHOUT = [
    "AimEnabled", "AvoidCorsURLLoaderRestartOnRedirect", "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose", "HttpsFirstBalancedModeAutoEnable", "HttpsUpgrades", "LensOverlay", "MediaRouter",
    "NetworkTimeServiceQuerying", "OptimizationHints", "PaintHolding", "PreconnectToSearch",
    "ThirdPartyStoragePartitioning", "WebUIOmniboxAimPopup", "WebUIOmniboxPopup",
]  # fmt: skip

#: Milliseconds in which a page must show what a test expects. Playwright's 5 s is short when every core is busy.
EXPECT_WITHIN = 30_000


def pytest_collection_modifyitems(items):
    """A browser is slow on a busy machine: its tests may take longer than others before they are ended."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(170))


@pytest.fixture(scope="session")
def browser():
    """The browser, once for all tests. Skipped, with the reason, where there is no Chromium."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=EXPECT_WITHIN)
    with sync_playwright() as playwright:
        off = f"--disable-features={','.join(WITHOUT)}"
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, off])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, live_server):
    """A fresh page at the live server. What the console says in anger fails the test."""
    context = browser.new_context(base_url=live_server.url, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    context.close()
    assert said == []


@pytest.fixture(scope="module")
def filled_site(browser, django_db_setup, django_db_blocker):
    """A server of a site with something of everything in it, for all tests of a file: who operates it, and its rows."""
    with django_db_blocker.unblock(), modify_settings(ALLOWED_HOSTS={"append": "localhost"}):
        olga = person_named("olga")
        server = LiveServer("localhost")
        try:
            yield server, olga, fill(olga)
        finally:
            server.stop()
            empty_tables()


@pytest.fixture(scope="module")
def visit(browser, filled_site):
    """`visit(address)`: olga loads this page of the filled site, and all of it is checked, on each screen."""
    server, olga, rows = filled_site
    context = browser.new_context(base_url=server.url, reduced_motion="reduce")
    come_in(context, server, olga)
    visitor = Visitor(context.new_page(), [])
    visitor.page.on("console", lambda told: visitor.complaints.append(told.text) if told.type == "error" else None)
    visitor.page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
    yield lambda address: visitor.check(address.format(**rows))
    context.close()
