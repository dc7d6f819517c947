"""A real PostgreSQL for development and tests, from a Python wheel: no package to install, no server to set up.

`start(directory)` starts the server whose data are under `directory`, or joins the one that runs, and returns its URL.
It runs while anybody uses it. Each user holds a shared lock on a file; a small process beside the server waits for that
lock alone, which it gets when the last user is gone, however it went (the kernel gives up a dead process's locks), and
stops the server then. Nothing listens on the network: the socket is in a private directory with a short name.

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

from jobsite.dev import embedded_server
from jobsite.dev.embedded_server import DATABASE, ROLE, CannotStart, system_binaries

__all__ = ["CannotStart", "main", "start", "system_binaries", "watch"]

# The locks by which this process says that it uses a server. They live as long as the process does.
_held: dict[Path, int] = {}


def start(directory: Path, binaries: Path | None = None, options: Mapping[str, str] | None = None) -> str:
    """Start or join the server under `directory`; its `postgres://` URL. CannotStart when that is impossible here.

    `options` are PostgreSQL's settings beside ours. They hold when the server is started, not when it is joined.
    """
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    socket = embedded_server.socket_directory(directory)
    # Others who start, and the watcher when it stops the server, wait their turn here.
    with _locked(directory / "start.lock"):
        if directory not in _held:
            _held[directory] = _lock(directory / "users.lock", fcntl.LOCK_SH)
        if not embedded_server.running(directory):
            embedded_server.start(directory, socket, binaries or embedded_server.wheel_binaries(), options or {})
        _watch(directory)
    return f"postgres://{ROLE}@/{DATABASE}?host={quote(str(socket))}"


# --- Locks and the watcher ------------------------------------------------------------------------------------


def _lock(path: Path, how: int) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, how)
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
    """See that a watcher stands by the server. A second one finds the first one's lock and goes."""
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
    """Wait until nobody uses the server, then stop it."""
    try:
        _lock(directory / "watch.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    while True:
        os.close(_lock(directory / "users.lock", fcntl.LOCK_EX))
        # Nobody now; but somebody may come until we have the start lock, so ask again under it.
        with _locked(directory / "start.lock"):
            try:
                os.close(_lock(directory / "users.lock", fcntl.LOCK_EX | fcntl.LOCK_NB))
            except BlockingIOError:
                continue
            embedded_server.stop(directory)
            # Gone before the start lock is: whoever waits for it must find no watcher, and send for one.
            os._exit(0)


def main(arguments: list[str]) -> int:
    """The command line; see the module's text."""
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
