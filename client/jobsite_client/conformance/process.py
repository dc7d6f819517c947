"""The bot's process: start it, send it signals, see how it ended."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path


class Process:
    """The bot's command, in a session of its own. Its output goes to the file `output`."""

    def __init__(self, command: Sequence[str], url: str, token: str, output: Path) -> None:
        self._command = list(command)
        self._environment = os.environ | {"JOBSITE_URL": url, "JOBSITE_TOKEN": token, "PYTHONUNBUFFERED": "1"}
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or start it again."""
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def terminate(self) -> None:
        """Send SIGTERM to the process itself, as a supervisor does."""
        if self._process is not None and not self.ended:
            self._process.terminate()

    def ended_within(self, seconds: float) -> bool:
        """Wait for its end. Returns whether it came."""
        until = time.monotonic() + seconds
        while not self.ended:
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def kill(self) -> None:
        """Send SIGKILL to it and to all that it has started."""
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def last_lines(self, lines: int = 8) -> list[str]:
        """The end of its output."""
        text = self._output.read_text(errors="replace") if self._output.exists() else ""
        return text.splitlines()[-lines:]
