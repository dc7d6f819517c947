"""Install the peers under `.bench/`: a virtual environment and `node_modules`, pinned by files in this folder."""

import shutil
import subprocess
import sys
from pathlib import Path

from bench.places import HERE, LOGS, NODE, VENV

REQUIREMENTS = HERE / "requirements.txt"
PACKAGES = [HERE / "package.json", HERE / "package-lock.json"]
PEERS = HERE / "peers"


class Missing(RuntimeError):
    """A program that the bench needs is missing; the message says what to install."""


def need(program: str, package: str) -> str:
    """Return the path of a program. Missing, which names Debian's package, when it is not installed."""
    path = shutil.which(program)
    if path is None:
        raise Missing(f"{program} is not installed. On Debian: apt-get install {package}")
    return path


def install() -> None:
    """Install the peers that are not installed yet, or whose pins have changed."""
    LOGS.mkdir(parents=True, exist_ok=True)
    if _changed(VENV, [REQUIREMENTS]):
        print("Installing the peers in Python …", file=sys.stderr)
        if not (VENV / "bin/python").exists():
            _run([sys.executable, "-m", "venv", str(VENV)])
        pip = [str(VENV / "bin/python"), "-m", "pip", "install", "--disable-pip-version-check"]
        _run([*pip, "-r", str(REQUIREMENTS)])
        _write_stamp(VENV, [REQUIREMENTS])
    if _changed(NODE, PACKAGES):
        print("Installing the peers in Node …", file=sys.stderr)
        NODE.mkdir(parents=True, exist_ok=True)
        for path in PACKAGES:
            shutil.copy(path, NODE)
        _run([need("npm", "npm"), "ci", "--no-audit", "--no-fund"], NODE)
        _write_stamp(NODE, PACKAGES)
    # Node looks for modules beside the file that asks for them.
    for path in PEERS.glob("*.mjs"):
        shutil.copy(path, NODE)


def version(package: str) -> str:
    """Return the installed version of a peer's package; empty when it is not installed."""
    manifest = NODE / "node_modules" / package / "package.json"
    if manifest.exists():
        import json

        return str(json.loads(manifest.read_text(encoding="utf-8"))["version"])
    name = package.replace("-", "_")
    folders = sorted(VENV.glob(f"lib/python*/site-packages/{name}-*.dist-info"))
    return folders[0].name.removeprefix(f"{name}-").removesuffix(".dist-info") if folders else ""


def _stamp(where: Path) -> Path:
    return where / ".pins"


def _pins(paths: list[Path]) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def _changed(where: Path, paths: list[Path]) -> bool:
    stamp = _stamp(where)
    return not stamp.exists() or stamp.read_text(encoding="utf-8") != _pins(paths)


def _write_stamp(where: Path, paths: list[Path]) -> None:
    _stamp(where).write_text(_pins(paths), encoding="utf-8")


def _run(command: list[str], cwd: Path | None = None) -> None:
    log = LOGS / "install.log"
    with log.open("ab") as out:
        done = subprocess.run(command, cwd=cwd, stdout=out, stderr=out, check=False)
    if done.returncode:
        raise Missing(f"{' '.join(command[:4])} … failed:\n{log.read_text(errors='replace')[-2000:]}")
