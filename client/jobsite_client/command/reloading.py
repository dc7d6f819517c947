"""Notice that a bot's files have changed, and start its process again. For development."""

import os
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

# Seconds between two looks.
EVERY = 0.5


class Watch:
    """The files of a program, as they were when this was made: before the program is loaded."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._known = _files(target)

    def wait(self) -> Path:
        """Wait until one of them, or of those that were loaded since, was changed or deleted. Returns it."""
        while True:
            now = _files(self._target)
            for path in now.keys() - self._known.keys():
                self._known[path] = now[path]
            for path, changed_at in self._known.items():
                if now.get(path) != changed_at:
                    return path
            time.sleep(EVERY)


def start_again(arguments: Sequence[str] | None) -> NoReturn:
    """Put a new process of this command in the place of this one."""
    sys.stdout.flush()
    sys.stderr.flush()
    given = sys.argv[1:] if arguments is None else arguments
    # No shell, and the command that the user started.
    os.execv(sys.executable, [sys.executable, "-m", f"{__package__}.bot", *given])  # noqa: S606


def _files(target: str) -> dict[Path, int]:
    """The program's own modules, and those beside the one that it begins with; when each was changed."""
    beside = Path(*target.partition(":")[0].split(".")).parent
    paths = set(beside.resolve().glob("*.py"))
    installed = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and not file.startswith(installed):
            paths.add(Path(file))
    found = {}
    for path in paths:
        try:
            found[path] = path.stat().st_mtime_ns
        except OSError:
            continue
    return found
