"""Run a command through Debian's PgBouncer, in transaction mode and with its own defaults.

    python -m jobsite.dev.pgbouncer exec -- COMMAND …

`DATABASE_URL` names the server, whose socket is on this machine; the command gets PgBouncer's in its place.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PROGRAM = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
#: Seconds in which it must listen.
TIMEOUT = 10
#: `server_idle_timeout` is short so that databases of tests can be dropped.
SETTINGS = """
[databases]
* = host={host}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
max_client_conn = 1000
server_idle_timeout = 0.5
"""


def is_installed() -> bool:
    """Whether this machine has PgBouncer."""
    return Path(PROGRAM).exists()


@contextmanager
def through_pgbouncer(url: str) -> Iterator[str]:
    """Start a PgBouncer before the server of `url`, and yield its URL."""
    parts = urlsplit(url)
    host, user = parse_qs(parts.query)["host"][0], parts.username or "postgres"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        users, settings = directory / "users", directory / "settings"
        users.write_text(f'"{user}" ""\n')
        settings.write_text(SETTINGS.format(host=host, port=port, users=users))
        owner = Path(host).owner()
        # It does not run as root. The socket's directory is open to its owner only.
        command = [PROGRAM, "-q", *(["-u", owner] if os.geteuid() == 0 else []), str(settings)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _await(process, port)
            yield f"postgres://{user}@127.0.0.1:{port}{parts.path}"
        finally:
            process.terminate()
            process.wait(TIMEOUT)


def _await(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + TIMEOUT
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError("PgBouncer did not start.")
        time.sleep(0.02)


def main(arguments: list[str]) -> int:
    """Run the command line that the module's docstring describes."""
    if arguments[:2] != ["exec", "--"] or not arguments[2:]:
        print(__doc__, file=sys.stderr)
        return 2
    if not is_installed():
        print("PgBouncer is missing. On Debian: apt-get install pgbouncer", file=sys.stderr)
        return 1
    with through_pgbouncer(os.environ["DATABASE_URL"]) as url:
        return subprocess.run(arguments[2:], env=os.environ | {"DATABASE_URL": url}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
