"""Clients that generators make of the OpenAPI document carry a whole bot, typed strictly, against a real server."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bots.models import Bot
from jobs.models import Job
from jobs.states import JobStatus
from jobsite.urls import api
from tests.cast import enqueue_one
from tests.served import served

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not shutil.which("npm"), reason="npm is not here"),
]
HERE = Path(__file__).parent
#: Where the programs of this environment are.
BIN = Path(sys.executable).parent


def run(*command: Any, cwd: Path) -> str:
    """What a program prints. It must end well."""
    env = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "CI": "1", "REDOCLY_TELEMETRY": "off"}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return done.stdout


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("document") / "openapi.json"
    path.write_text(json.dumps(api.get_openapi_schema()), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the bot in TypeScript and the packages that its lock file names."""
    folder = tmp_path_factory.mktemp("node")
    for path in (HERE / "typescript").iterdir():
        shutil.copy(path, folder)
    run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)
    return folder


def test_redocly_has_nothing_to_say(node: Path, document: Path) -> None:
    found = json.loads(run("npx", "redocly", "lint", document, "--format", "json", cwd=node))
    assert found["problems"] == []


def test_spectral_has_nothing_to_say(node: Path, document: Path) -> None:
    (node / ".spectral.yaml").write_text('extends: ["spectral:oas"]\n', encoding="utf-8")
    run("npx", "spectral", "lint", document, "--fail-severity", "hint", cwd=node)


def works(ada: Bot, *command: Any, cwd: Path) -> None:
    """The bot of this command does one job and fails another, and reads why its late report is refused."""
    good, bad = enqueue_one("good", priority=1), enqueue_one("bad", payload={"last": True})
    token = ada.token  # type: ignore[attr-defined]
    with served() as server:
        printed = run(*command, f"http://127.0.0.1:{server.port}", token, cwd=cwd)
    assert [json.loads(line) for line in printed.splitlines()] == [
        {"hello": "ada", "warnings": 0},
        {"completed": good.pk, "restart": False},
        {"failed": bad.pk, "status": "failed"},
        {
            "lost": bad.pk, "attempt": 1, "verb": "fail", "ended_by": "bot ada", "cancel": False, "paused": False,
        },
        {"released": []},
    ]  # fmt: skip
    assert [Job.objects.get(pk=job.pk).status for job in (good, bad)] == [JobStatus.SUCCEEDED, JobStatus.FAILED]


@pytest.mark.django_db(transaction=True)
def test_a_bot_in_typescript(node: Path, document: Path, ada: Bot) -> None:
    run("npx", "openapi-typescript", document, "--default-non-nullable", "false", "-o", "api.d.ts", cwd=node)
    run("npx", "tsc", "-p", ".", cwd=node)
    works(ada, "node", "built/bot.js", cwd=node)


@pytest.mark.django_db(transaction=True)
def test_a_bot_in_python(tmp_path: Path, document: Path, ada: Bot) -> None:
    shutil.copy(HERE / "python" / "bot.py", tmp_path)
    command = ("openapi-python-client", "generate", "--path", document, "--output-path", "client", "--meta", "none")
    run(BIN / command[0], *command[1:], cwd=tmp_path)
    # The generator's own class for connections is the same for every document, and not typed strictly.
    strict = ("--strict", "--follow-imports", "silent", "--config-file", os.devnull)
    run(BIN / "mypy", *strict, "bot.py", "client/api", "client/models", cwd=tmp_path)
    works(ada, sys.executable, "bot.py", cwd=tmp_path)
