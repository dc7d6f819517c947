"""The bot on `docs/coming-from.md` that runs commands does so, and gives up on one that fails."""

import re
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from jobsite_client import GiveUp
from tests.docs.reading import text_of


@pytest.fixture
def names() -> dict[str, Any]:
    (code,) = re.findall(r"```python\n(.*?)```", text_of("docs/coming-from.md"), flags=re.S)
    defined: dict[str, Any] = {}
    exec(code, defined)
    return defined


def command(code: str) -> dict[str, list[str]]:
    return {"backup": [sys.executable, "-c", code]}


def test_what_the_command_prints_is_the_result(names: dict[str, Any]) -> None:
    names["COMMANDS"] = command("print('copied')")
    assert names["run"](SimpleNamespace(kind="backup")) == "copied\n"


def test_a_command_that_fails_fails_the_job_for_good(names: dict[str, Any]) -> None:
    names["COMMANDS"] = command("import sys; sys.exit('no disk')")
    with pytest.raises(GiveUp, match="no disk"):
        names["run"](SimpleNamespace(kind="backup"))
    names["COMMANDS"] = command("import sys; sys.exit(3)")
    with pytest.raises(GiveUp, match="exit code 3"):
        names["run"](SimpleNamespace(kind="backup"))
