"""Let the processes of a run compile the tests together. A pytest plugin.

In a new checkout pytest rewrites the asserts of each file, for half a minute in all, and each process would do so for
each file at the same time as the others. So each begins with other files, and reads what another has written.
"""

from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def pytest_collection(session: pytest.Session) -> None:
    """Import all files of tests, if all are to be collected."""
    process = getattr(session.config, "workerinput", None)
    if process is None or [Path(name).resolve() for name in session.config.args] != [TESTS]:
        return
    files = sorted(TESTS.rglob("test_*.py"))
    first = len(files) * int(process["workerid"].removeprefix("gw")) // process["workercount"]
    for path in files[first:] + files[:first]:
        # What is wrong with it is reported when it is collected.
        with suppress(Exception, pytest.skip.Exception):
            import_module(".".join(path.relative_to(TESTS.parent).with_suffix("").parts))
