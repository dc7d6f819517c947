"""The command line that starts the web server. `serve`, the demo, the tests and the bench start it alike."""

import sys
from pathlib import Path

#: Seconds that a process has, after SIGTERM, to answer what it has begun.
KILL_TIMEOUT = 30


def command_line(port: int, *, host: str = "127.0.0.1", workers: int = 1) -> list[str]:
    """Return the command that listens there with so many processes, in this Python's environment."""
    granian = str(Path(sys.executable).parent / "granian")
    return [
        granian, "--interface", "asgi", "--loop", "uvloop", "--http", "1", "--no-ws",
        "--host", host, "--port", str(port), "--workers", str(workers), "--backpressure", "8192",
        "--http1-buffer-size", "65536", "--http1-header-read-timeout", "10000", "--respawn-failed-workers",
        "--respawn-interval", "0.5", "--workers-kill-timeout", str(KILL_TIMEOUT), "jobsite.asgi:application",
    ]  # fmt: skip
