"""What every test may use. The named people and bots are in `cast.py`."""

import os

# Before Django's settings are read: a test run is a development of its own, whatever the shell says.
os.environ["DEBUG"] = "0"
os.environ["HTTPS"] = "0"
os.environ["SECRET_KEY"] = "for-tests-only-" + "x" * 50
os.environ["LOG_LEVEL"] = "ERROR"
os.environ["DATABASE_POOL_MAX"] = "40"

import pytest

pytest_plugins = ["tests.cast"]


@pytest.fixture(autouse=True)
def _plain_static_files(settings):
    """Pages are made without `collectstatic`."""
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }


def pytest_terminal_summary(terminalreporter):
    """Where the browser is required (CI), a browser test that was skipped is a failure."""
    if os.environ.get("REQUIRE_BROWSER") and _skipped(terminalreporter):
        terminalreporter.write_line("Browser tests were skipped, and REQUIRE_BROWSER is set.", red=True)


def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("REQUIRE_BROWSER") and reporter and _skipped(reporter) and exitstatus == 0:
        session.exitstatus = 1


def _skipped(reporter):
    return [report for report in reporter.stats.get("skipped", []) if "tests/browser" in report.nodeid]
