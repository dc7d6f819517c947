"""What every test may use. The named people and bots are in `cast.py`."""

import functools
import gc
import os
import ssl

import pytest

from tests import ports

pytest_plugins = [
    "tests.cast",
    "tests.far_side",
    "tests.entered",
    "tests.emptied",
    "tests.migrated",
    "tests.compiled",
]


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """The pages of the admin are there, as in a server: commands that need none do not import them.

    All that is imported stays. Collections of garbage would take a fifth of the time and find none.
    """
    from django.contrib import admin

    gc.disable()
    try:
        admin.autodiscover()
        return (yield)
    finally:
        gc.enable()


def pytest_collection_modifyitems(items):
    """What takes long is for `make test-all`. Files with a test that opens a browser come last.

    Playwright leaves its loop running in the thread of the tests: none after that could run one of its own. A process
    gets a file whole, so a test in it that opens none would bring the others forward. The longest of them come first:
    no process is to work on one when the others have ended.
    """
    with_browser = {item.path for item in items if "browser" in item.fixturenames}
    items.sort(key=lambda item: item.path in with_browser and 2 - item.path.name.startswith("test_pages_of_"))
    if not os.environ.get("TEST_ALL"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="for make test-all"))


def pytest_collection_finish():
    """What was imported and collected is there until the end: no collection of garbage looks at it again."""
    gc.freeze()


def pytest_sessionfinish(session, exitstatus):
    """Where the browser is required (CI), a browser test that was skipped is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("REQUIRE_BROWSER") or reporter is None or exitstatus != 0:
        return
    skipped = [report for report in reporter.stats.get("skipped", []) if "tests/browser" in report.nodeid]
    if skipped:
        reporter.write_line(f"\n{len(skipped)} browser tests were skipped, and REQUIRE_BROWSER is set.", red=True)
        session.exitstatus = 1


@pytest.fixture(scope="session", autouse=True)
def certificates_are_read_once():
    """An HTTP client reads all certificates that it trusts, which takes longer than most tests, and calls by HTTP."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", functools.cache(ssl.create_default_context))
        yield


@pytest.fixture
def unused_port():
    """A port on this machine that nobody listens on until the test does."""
    with ports.reserved() as port:
        yield port


@pytest.fixture
def direct(db):
    """The server itself: what needs it is skipped where there is a pooler before it."""
    from django.db import connection

    connection.ensure_connection()
    if connection.connection.pooled:
        pytest.skip("this needs the server itself, and there is a pooler before it")


@pytest.fixture(autouse=True)
def nothing_is_known_of_what_is_pending(monkeypatch):
    """Each test counts for itself: the jobs of the last one are gone. It counts again before anything is refused.

    Otherwise it would not where the first count was slow, as on a busy machine.
    """
    from jobs.enqueue import pending

    monkeypatch.setattr(pending, "figures", pending.Figures())
    monkeypatch.setattr(pending, "QUICK", 60)


@pytest.fixture(autouse=True)
def no_listener_is_left(monkeypatch):
    """Each test has its own line of waiters, and the connection that listens for it ends with the test."""
    from jobs.turns import waiting

    line = waiting.Waiters()
    monkeypatch.setattr(waiting, "waiters", line)
    yield
    line.close()
    line.join()
