"""What every test may use. The named people and bots are in `cast.py`."""

import os

pytest_plugins = ["tests.cast"]


def pytest_sessionfinish(session, exitstatus):
    """Where the browser is required (CI), a browser test that was skipped is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("REQUIRE_BROWSER") or reporter is None or exitstatus != 0:
        return
    skipped = [report for report in reporter.stats.get("skipped", []) if "tests/browser" in report.nodeid]
    if skipped:
        reporter.write_line(f"\n{len(skipped)} browser tests were skipped, and REQUIRE_BROWSER is set.", red=True)
        session.exitstatus = 1
