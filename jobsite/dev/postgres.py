"""Run a real PostgreSQL for development and tests from a Python wheel, without installing or setting up a server.

`start(directory)` starts the server whose data are under `directory`, or joins the running one, and returns its URL.
It runs while a process uses it. Each of them holds a shared lock on a file; a small process beside the server, the
watcher, waits for that lock exclusively and then stops the server. The kernel releases the locks of a process however
it ends. Nothing listens on the network: the socket is in a private directory with a short name.

    python -m jobsite.dev.postgres exec [--bin DIRECTORY] DIRECTORY -- COMMAND …

runs a command with `DATABASE_URL` set to such a server, of other binaries if need be (`--bin system`: Debian's newest).
"""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from jobsite.dev.embedded_server import (
    DATABASE,
    ROLE,
    CannotStart,
    running,
    socket_directory,
    start_server,
    stop,
    system_binaries,
    wheel_binaries,
)

__all__ = ["CannotStart", "main", "start", "system_binaries", "watch"]

# The shared locks of this process, one for each server it uses. They are held until it ends.
_held: dict[Path, int] = {}


def start(directory: Path, binaries: Path | None = None, options: Mapping[str, str] | None = None) -> str:
    """Start or join the server under `directory` and return its `postgres://` URL. CannotStart when that is impossible.

    `options` are PostgreSQL's settings beside ours. They apply when the server is started, not when it is joined.
    """
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    socket = socket_directory(directory)
    # Other processes that start the server, and the watcher that stops it, wait for this lock.
    with _locked(directory / "start.lock"):
        if directory not in _held:
            _held[directory] = _lock(directory / "users.lock", fcntl.LOCK_SH)
        if not running(directory):
            start_server(directory, socket, binaries or wheel_binaries(), options or {})
        _watch(directory)
    return f"postgres://{ROLE}@/{DATABASE}?host={quote(str(socket))}"


def _lock(path: Path, mode: int) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, mode)
    except BaseException:
        os.close(handle)
        raise
    return handle


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    handle = _lock(path, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(handle)


def _watch(directory: Path) -> None:
    """Start a watcher for the server, unless one runs. A second one cannot get the first one's lock and ends."""
    try:
        os.close(_lock(directory / "watch.lock", fcntl.LOCK_EX | fcntl.LOCK_NB))
    except BlockingIOError:
        return
    subprocess.Popen(
        [sys.executable, "-m", "jobsite.dev.postgres", "watch", str(directory)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).resolve().parents[2],
        start_new_session=True,
    )


def watch(directory: Path) -> None:
    """Wait until no process uses the server, then stop it."""
    try:
        _lock(directory / "watch.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    while True:
        os.close(_lock(directory / "users.lock", fcntl.LOCK_EX))
        # Another process may join until we have the start lock, so check once more under it.
        with _locked(directory / "start.lock"):
            try:
                os.close(_lock(directory / "users.lock", fcntl.LOCK_EX | fcntl.LOCK_NB))
            except BlockingIOError:
                continue
            stop(directory)
            # End while the start lock is held: the next process must find no watcher, and start one.
            os._exit(0)


def main(arguments: list[str]) -> int:
    """Run the command line that the module's docstring describes."""
    binaries: Path | None = None
    match arguments:
        case ["watch", directory]:
            watch(Path(directory))
            return 0
        case ["exec", "--bin", where, directory, "--", *command] if command:
            binaries = system_binaries() if where == "system" else Path(where)
        case ["exec", directory, "--", *command] if command:
            pass
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    try:
        url = start(Path(directory), binaries)
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1
    return subprocess.run(command, env=os.environ | {"DATABASE_URL": url}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
