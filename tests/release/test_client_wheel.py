"""The wheel of the Python library: its licence, what checks it, and every Python that it is for."""

import os
import shutil
import subprocess
import sys
from email import message_from_string
from email.message import Message
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.docs.reading import ROOT, text_of

from .test_wheels import UV, run

VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
#: A handler with a payload and a result, in a bot's own words.
TYPED = """
from dataclasses import dataclass
from datetime import datetime, timezone
from jobsite_client import Job
from jobsite_client.handlers import Handler
from jobsite_client.messages import ClaimedJob
from jobsite_client.results import Results

@dataclass
class Order:
    at: datetime
    lines: "list[int | None]"

def handle(job, order: Order):
    return {"at": order.at, "lines": set(order.lines)}

job = Job(ClaimedJob(1, "order", 1, {"at": "2026-11-27T08:00:00Z", "lines": [1]}, 0, None, None, None, None))
print(Results().plain(job, Handler(handle).call(job))[0])
"""


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the library's wheel and its sources."""
    out = tmp_path_factory.mktemp("dist")
    run(UV, "build", "--quiet", "--out-dir", str(out), str(ROOT / "client"), cwd=out)
    return out


def wheel_in(dist: Path) -> Path:
    (wheel,) = dist.glob("*.whl")
    return wheel


def about(wheel: Path) -> tuple[Message, str]:
    """The wheel's metadata, and its licence."""
    with ZipFile(wheel) as opened:
        (info,) = {name.partition("/")[0] for name in opened.namelist() if ".dist-info/" in name}
        metadata = message_from_string(opened.read(f"{info}/METADATA").decode())
        return metadata, opened.read(f"{info}/licenses/LICENSE").decode()


def test_the_library_has_the_licence_of_the_project() -> None:
    assert text_of("client/LICENSE") == text_of("LICENSE")


@pytest.mark.long
def test_the_wheel_has_its_licence_and_names_its_pythons(dist: Path) -> None:
    metadata, licence = about(wheel_in(dist))
    assert licence == text_of("LICENSE")
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == f">={VERSIONS[0]}"
    named = {line.rsplit(" ", 1)[-1] for line in metadata.get_all("Classifier", []) if "Python ::" in line}
    assert named == set(VERSIONS)
    assert {"metrics", "tracing"} <= set(metadata.get_all("Provides-Extra", []))


@pytest.mark.long
def test_twine_finds_nothing_in_what_is_built(dist: Path) -> None:
    files = sorted(str(path) for path in dist.iterdir() if path.name.endswith((".whl", ".tar.gz")))
    assert len(files) == 2
    run(sys.executable, "-m", "twine", "check", "--strict", *files, cwd=dist)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.skipif(not shutil.which("node"), reason="node is not here")
def test_pyright_finds_nothing() -> None:
    run(sys.executable, "-m", "pyright", "--pythonpath", sys.executable, cwd=ROOT / "client")


@pytest.mark.long
def test_mypy_finds_nothing_for_the_oldest_python() -> None:
    settings = {"DJANGO_SETTINGS_MODULE": "jobsite.settings", "DEBUG": "1"}
    settings["DATABASE_URL"] = "postgres://nobody@localhost/none"
    # What is for Django imports it, and the plugin then reads the server, which is for newer ones.
    command = [sys.executable, "-m", "mypy", "--python-version", VERSIONS[0], "--exclude", "jobsite_client/django"]
    run(*command, "client/jobsite_client", cwd=ROOT, **settings)


def python(version: str) -> str | None:
    """An interpreter of this version, from the path or of pyenv, if the machine has one."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    candidates = [shutil.which(f"python{version}"), *pyenv.glob(f"{version}.*/bin/python{version}")]
    for candidate in filter(None, candidates):
        # A shim of pyenv is there and does not work.
        done = subprocess.run([candidate, "-c", ""], capture_output=True, check=False)
        if done.returncode == 0:
            return str(candidate)
    return None


@pytest.mark.long
@pytest.mark.timeout(170)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_bot_works_with_each_python(dist: Path, tmp_path: Path, version: str) -> None:
    interpreter = python(version)
    if interpreter is None:
        pytest.skip(f"there is no Python {version}")
    run(UV, "venv", "--quiet", "--python", interpreter, "env", cwd=tmp_path)
    wheel = f"{wheel_in(dist)}[metrics,tracing]"
    run(UV, "pip", "install", "--quiet", "--python", "env/bin/python", wheel, cwd=tmp_path)
    own = str(tmp_path / "env/bin/python")
    assert run(own, "-c", "import sys; print(*sys.version_info[:2], sep='.')", cwd=tmp_path).strip() == version
    assert run(own, "-c", TYPED, cwd=tmp_path).strip() == "{'at': '2026-11-27T08:00:00Z', 'lines': [1]}"
    run(own, "-c", "import jobsite_client.metrics, jobsite_client.tracing", cwd=tmp_path)
    bot = [own, str(ROOT / "client/examples/conformance_bot.py"), "2"]
    for how in ([], ["asyncio"]):
        suite = [own, "-m", "jobsite_client.conformance", "--scenario=work", "--scenario=sigterm-idle"]
        run(*suite, "--", *bot, *how, cwd=tmp_path, PATH=os.environ["PATH"])
