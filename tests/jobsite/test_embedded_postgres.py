"""The PostgreSQL that development and tests bring along: real processes, real locks, nothing left behind."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from jobsite.dev import embedded_server

ROOT = Path(__file__).resolve().parents[2]
#: Seconds after which something that should have happened has not.
PATIENCE = 60

USER = """
import sys
from pathlib import Path
import psycopg
from jobsite.dev import postgres
url = postgres.start(Path(sys.argv[1]))
with psycopg.connect(url) as connection:
    connection.execute("CREATE TABLE IF NOT EXISTS visits (at timestamptz DEFAULT now())")
    connection.execute("INSERT INTO visits DEFAULT VALUES")
    count = connection.execute("SELECT count(*) FROM visits").fetchone()[0]
print(count, flush=True)
sys.stdin.read()
"""


class User:
    """A process that uses the server until it is told to go."""

    def __init__(self, directory):
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(directory)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.visits = int(self.process.stdout.readline() or self.fell())

    def fell(self):
        raise AssertionError(self.process.stderr.read())

    def leave(self):
        """End in good order."""
        self.process.communicate(timeout=PATIENCE)

    def die(self):
        """End like a process that was killed."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=PATIENCE)


def alive(directory):
    """The processes that belong to this server: PostgreSQL itself and its watcher."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        line = process.info["cmdline"] or []
        if any(str(directory) in part for part in line) and process.pid != os.getpid():
            found.append(process)
    return found


def wait_until_gone(directory):
    """Nothing of this server is left. Asked again and again, because stopping takes as long as it takes."""
    until = time.monotonic() + PATIENCE
    while left := alive(directory):
        assert time.monotonic() < until, [process.info["cmdline"] for process in left]
        time.sleep(0.05)


@pytest.fixture
def place():
    """A directory of our own: pytest closes its own to others, and under root PostgreSQL is somebody else."""
    with tempfile.TemporaryDirectory(prefix="jobsite-test-") as path:
        yield Path(path)


@pytest.fixture
def directory(place):
    path = place / "postgres"
    yield path
    wait_until_gone(path)


def test_the_last_user_leaves_nothing_running(directory):
    User(directory).leave()
    wait_until_gone(directory)


def test_data_are_there_again_at_the_next_start(directory):
    User(directory).leave()
    wait_until_gone(directory)
    again = User(directory)
    assert again.visits == 2
    again.leave()


def test_two_users_share_one_server(directory):
    first = User(directory)
    second = User(directory)
    assert (first.visits, second.visits) == (1, 2)
    servers = [p for p in alive(directory) if Path((p.info["cmdline"] or [""])[0]).name == "postgres"]
    assert len(servers) == 1
    first.leave()
    assert alive(directory) != []
    second.leave()


def test_a_killed_user_leaves_nothing_running_either(directory):
    User(directory).die()
    wait_until_gone(directory)


def test_a_user_that_comes_while_another_is_killed_finds_its_data(directory):
    first = User(directory)
    first.die()
    second = User(directory)
    assert second.visits == 2
    second.leave()


def test_a_server_that_was_killed_is_started_again(directory):
    first = User(directory)
    pid = int((directory / "data" / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([p for p in alive(directory) if p.pid == pid], timeout=PATIENCE)
    second = User(directory)
    assert second.visits == 2
    first.leave()
    second.leave()


def test_a_long_path_is_no_hindrance(place):
    directory = place / ("long-" * 20) / ("longer-" * 15)
    assert len(str(directory)) > 200
    user = User(directory)
    assert user.visits == 1
    user.leave()
    wait_until_gone(directory)


def test_a_path_with_a_space_and_a_quote_is_no_hindrance(place):
    directory = place / "it's a place" / "of ours"
    user = User(directory)
    assert user.visits == 1
    user.leave()
    wait_until_gone(directory)


def test_the_socket_is_open_to_nobody_else(directory):
    user = User(directory)
    assert embedded_server.socket_directory(directory).stat().st_mode & 0o077 == 0
    user.leave()


def test_without_the_wheel_the_message_says_what_to_do(directory):
    done = subprocess.run(
        [sys.executable, "-c", "import sys\n"
         "from pathlib import Path; from jobsite.dev import postgres\n"
         "import importlib.util; importlib.util.find_spec = lambda name: None\n"
         "postgres.start(Path(sys.argv[1]))", str(directory)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "DATABASE_URL" in done.stderr
    assert "requirements-dev.txt" in done.stderr


def test_exec_hands_the_address_to_a_command(directory):
    command = [sys.executable, "-c", "import os; print(os.environ['DATABASE_URL'])"]
    done = subprocess.run(
        [sys.executable, "-m", "jobsite.dev.postgres", "exec", str(directory), "--", *command],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.startswith("postgres://postgres@/jobsite?host="), done.stderr
