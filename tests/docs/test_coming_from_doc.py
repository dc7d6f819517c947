"""The bot on `docs/coming-from.md` that runs commands does so, and gives up on one that fails."""

import re
import sys
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.enqueue import older_system
from jobs.enqueue.csv_file import read_csv
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


def test_the_statuses_and_columns_of_an_older_system_are_the_codes() -> None:
    text = text_of("docs/coming-from.md").split("## An older system")[1]
    for name in (
        *older_system.STATUSES,
        *older_system.DELETED,
        "kind",
        "payload",
        "priority",
        "run_at",
        "max_attempts",
    ):
        assert f"`{name}`" in text, name
    assert f"`{older_system.JOBS}`" in text


def test_the_example_of_a_file_with_jobs_is_one(db: None) -> None:
    (example,) = re.findall(r"```\n(kind,.*?)```", text_of("docs/coming-from.md"), flags=re.S)
    (job,) = read_csv(BytesIO(example.encode()))
    assert (job.kind, job.payload, job.key) == ("invoice", {"customer": 17}, "invoice-17")
