"""What programs and people outside rely on, as text: `python -m tests.contract.surface` writes it to `snapshots/`."""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.contract import client_answers

SNAPSHOTS = Path(__file__).parent / "snapshots"
ROOT = Path(__file__).resolve().parents[2]
OURS = ("jobsite", "alerts", "jobs", "bots")


def openapi() -> str:
    """The document at `/api/v1/openapi.json`."""
    from jobsite.urls import api

    return json.dumps(api.get_openapi_schema(), indent=1, sort_keys=True, default=str) + "\n"


def urls() -> str:
    """Every route with its name."""
    from django.urls import get_resolver

    def walk(patterns: Any, before: str) -> Iterator[str]:
        for entry in patterns:
            route = before + str(entry.pattern)
            if hasattr(entry, "url_patterns"):
                yield from walk(entry.url_patterns, route)
            else:
                # Django makes this one of a set, in no order.
                yield re.sub(r"\(\?P<app_label>.*?\)", "(?P<app_label>…)", f"{route} {entry.name or '-'}")

    return "\n".join(sorted(walk(get_resolver().url_patterns, "/"))) + "\n"


def commands() -> str:
    """Our management commands with their arguments."""
    from django.core.management import get_commands, load_command_class

    shared = {"help", "version", "verbosity", "settings", "pythonpath", "traceback", "no_color", "force_color"}
    lines = []
    for name, app in sorted(get_commands().items()):
        if app in OURS:
            lines.append(name)
            command = load_command_class(app, name)
            for action in command.create_parser("manage.py", name)._actions:
                if action.dest not in shared | {"skip_checks"}:
                    lines.append(f"{name} {_argument(action)}")
    return "\n".join(lines) + "\n"


def _argument(action: argparse.Action) -> str:
    names = " ".join(action.option_strings) or action.dest
    choices = f" of {sorted(action.choices)}" if action.choices else ""
    return f"{names} default={action.default!r} nargs={action.nargs!r}{choices}"


def settings() -> str:
    """What the environment may set, with the defaults."""
    text = (ROOT / "jobsite" / "settings.py").read_text(encoding="utf-8")
    calls = re.findall(r'env\.(\w+)\("(\w+)"(?:, default=((?:[^()]|\([^()]*\))*))?\)', text)
    return "\n".join(sorted(f"{name} {kind} {default or '-'}" for kind, name, default in calls)) + "\n"


def migrations() -> str:
    """`<digest> <path>` of every migration and of the SQL that it runs: one that has landed is never written anew."""
    paths = sorted(path for pattern in ("0*.py", "sql/*.sql") for path in ROOT.glob(f"*/migrations/{pattern}"))
    digests = ((hashlib.sha256(path.read_bytes()).hexdigest()[:16], path.relative_to(ROOT)) for path in paths)
    return "\n".join(f"{digest} {path}" for digest, path in digests) + "\n"


SURFACES: dict[str, Callable[[], str]] = {
    "openapi.json": openapi, "urls.txt": urls, "commands.txt": commands, "settings.txt": settings,
    "migrations.txt": migrations,
}  # fmt: skip


def record_answers() -> None:
    """Make every call, on a database of the tests, and write what it answers: the document shows it."""
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "tests/contract/test_answers.py"]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"RECORD_ANSWERS": "1"}, check=True)


def main() -> None:
    """Write every snapshot anew, and the typed answers of the Python library.

    Do so only for a change of the contract that is meant, with its CHANGELOG line.
    """
    record_answers()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    from jobsite.urls import api

    SNAPSHOTS.mkdir(exist_ok=True)
    for name, surface in SURFACES.items():
        (SNAPSHOTS / name).write_text(surface(), encoding="utf-8")
    client_answers.write(api.get_openapi_schema())


if __name__ == "__main__":
    main()
