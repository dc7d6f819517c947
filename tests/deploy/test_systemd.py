"""The units that come with the project are good units, with limits, and know the commands there are."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from jobsite.serving.command_line import KILL_TIMEOUT, command_line
from tests.deploy.units import FOLDER, services, value_of

UNITS = sorted(FOLDER.iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
#: Of 10. A service without any limits has 9.6.
MOST_EXPOSED = 2.0


def test_there_is_a_unit_for_each_program() -> None:
    assert [unit.name for unit in UNITS] == [
        "jobsite-alerts.service", "jobsite-sweep.service", "jobsite-sweep.timer", "jobsite-web.service",
    ]  # fmt: skip


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_it(unit: Path, tmp_path: Path) -> None:
    for other in UNITS:
        text = other.read_text(encoding="utf-8")
        # Programs that are here.
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.M)
        (tmp_path / other.name).write_text(text, encoding="utf-8")
    command = [str(ANALYZE), "verify", "--man=no", str(tmp_path / unit.name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_it_can_do_little_else(unit: Path) -> None:
    command = [str(ANALYZE), "security", "--offline=true", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze looks at running services only")
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert level is not None, done.stderr
    assert float(level[1]) <= MOST_EXPOSED


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_it_has_bounds(unit: Path) -> None:
    text = unit.read_text(encoding="utf-8")
    for name in ("MemoryMax", "TasksMax", "NoNewPrivileges", "ProtectSystem"):
        assert re.search(rf"^{name}=", text, flags=re.M), name


def test_the_server_has_time_to_end() -> None:
    assert int(value_of(FOLDER / "jobsite-web.service", "TimeoutStopSec")) > KILL_TIMEOUT
    assert "--respawn-failed-workers" in command_line(8000)


def test_each_starts_a_command_that_there_is_in_a_checkout_and_in_a_wheel() -> None:
    started = {}
    for service in services().values():
        _, option, module, command, *arguments = service.command
        assert (option, module) == ("-m", "jobsite")
        app = get_commands()[command]
        assert isinstance(app, str)
        load_command_class(app, command).create_parser("jobsite", command).parse_args(arguments)
        started[service.name] = command
    assert started == {"alerts": "send_alerts", "sweep": "sweep_stuck", "web": "serve"}
