"""`jobsite-bot module:bot`: how it runs, starts again, and checks."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import REPO, TOKEN
from .fake_server import Answer, FakeServer, refusal

BOT = """
import os
from jobsite_client import Bot

bot = Bot(os.environ["JOBSITE_URL"], os.environ["JOBSITE_TOKEN"], poll_every=0.05, heartbeat_every=0.05, grace=0.2)
no_bot = 7


@bot.handler("where")
def where(job):
    return [os.getpid(), os.getppid(), VERSION]


VERSION = 1
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(server: FakeServer, tmp_path: Path) -> Iterator[Start]:
    """Start the command where `tasks.py` has a bot; it is killed, if it still runs, when the test is over."""
    (tmp_path / "tasks.py").write_text(BOT)
    started = []
    env = {**os.environ, "JOBSITE_URL": server.url, "JOBSITE_TOKEN": TOKEN, "PYTHONPATH": str(REPO / "client")}

    def start(*arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "jobsite_client.command.bot", *arguments]
        env["PYTHONDONTWRITEBYTECODE"] = "1"
        process = subprocess.Popen(
            command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def result_of(server: FakeServer, job: int) -> list[int]:
    (call,) = server.wait_for(f"jobs/{job}/complete")
    result: list[int] = call.body["result"]
    return result


def test_the_bot_of_a_module_runs_until_it_is_stopped(server: FakeServer, start: Start) -> None:
    job = server.add_job("where")
    process = start("tasks:bot")
    assert result_of(server, job)[0] == process.pid
    process.send_signal(signal.SIGTERM)
    code, _, err = ended(process)
    assert code == 0
    assert "completed" in err and "httpx" not in err


def test_processes_run_its_handlers(server: FakeServer, start: Start) -> None:
    job = server.add_job("where")
    process = start("tasks:bot", "--processes", "2")
    assert result_of(server, job)[1] == process.pid
    assert server.of("claim")[0].body["limit"] == 2
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 0


def test_a_changed_file_starts_it_again_and_a_broken_one_waits_for_the_next_change(
    server: FakeServer, start: Start, tmp_path: Path
) -> None:
    tasks = tmp_path / "tasks.py"
    process = start("tasks:bot", "--reload")
    assert result_of(server, server.add_job("where"))[2] == 1
    tasks.write_text("a syntax error")
    while "SyntaxError" not in (line := process.stderr.readline()):  # type: ignore[union-attr]
        assert line
    tasks.write_text(BOT.replace("VERSION = 1", "VERSION = 2"))
    assert result_of(server, server.add_job("where"))[2] == 2
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 0


def test_a_check_tells_kinds_and_access_and_claims_nothing(server: FakeServer, start: Start) -> None:
    server.add_job("where")
    about = {"name": "ada", "bot_id": 3, "kinds": ["where", "sum"], "capacity": 4, "paused": False, "warnings": []}
    server.answers["hello"] = [Answer(about)]
    code, out, err = ended(start("tasks:bot", "--check"))
    shown = dict(re.split(r"  +", line, maxsplit=1) for line in out.splitlines())
    assert (code, err) == (0, "")
    assert shown == {
        "bot": "ada (id 3)", "handlers": "where", "may take": "where, sum", "jobs at a time": "4", "paused": "no",
    }  # fmt: skip
    assert [call.path for call in server.calls] == ["hello", "goodbye"]
    assert server.calls[0].body["alone"] is False


def test_a_check_fails_where_a_kind_is_not_the_bots(server: FakeServer, start: Start) -> None:
    about = {"name": "ada", "bot_id": 3, "kinds": ["sum"], "capacity": None, "paused": False}
    server.answers["hello"] = [Answer({**about, "warnings": ["ada may not take where."]})]
    code, out, err = ended(start("tasks:bot", "--check"))
    assert (code, err) == (1, "ada may not take where.\n")
    assert "no limit" in out
    server.answers["hello"] = [refusal(401, "unauthorized", "This token was revoked.")]
    assert ended(start("tasks:bot", "--check"))[::2] == (77, "jobsite-bot: This token was revoked.\n")


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("tasks", "Name a module and the bot in it"),
        ("tasks:no_bot", "tasks has no Bot that is called no_bot."),
        ("tasks:nothing", "tasks has no Bot that is called nothing."),
        ("nowhere:bot", "There is no module nowhere"),
    ],
)
def test_what_is_no_bot_is_named(start: Start, target: str, why: str) -> None:
    code, _, err = ended(start(target))
    assert (code, why in err) == (2, True)


def test_what_the_module_raises_is_shown(start: Start, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import a_library_that_is_not_there")
    code, _, err = ended(start("broken:bot"))
    assert code == 2
    assert "No module named 'a_library_that_is_not_there'" in err
