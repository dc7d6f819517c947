"""What the units in `deploy/systemd/` say: read by the tests, and by the program that starts them without systemd."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

from tests.docs.reading import ROOT

FOLDER = ROOT / "deploy/systemd"


class Service(NamedTuple):
    """A service: its name, what it starts, as whom and where."""

    name: str
    command: list[str]
    user: str
    directory: str


def value_of(unit: Path, name: str) -> str:
    """What the unit says of this, the only time."""
    (value,) = re.findall(rf"^{name}=(.*)$", unit.read_text(encoding="utf-8"), flags=re.M)
    return str(value)


def services(folder: Path = FOLDER) -> dict[str, Service]:
    """The services there, by their names without `jobsite-`."""
    found = {}
    for unit in sorted(folder.glob("jobsite-*.service")):
        command = shlex.split(value_of(unit, "ExecStart"))
        name = unit.stem.removeprefix("jobsite-")
        found[name] = Service(name, command, value_of(unit, "User"), value_of(unit, "WorkingDirectory"))
    return found
