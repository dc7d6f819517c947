"""The cast: a server that plays Jobsite, a client whose waits are remembered instead of spent, a bot on a thread."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobsite_client import Bot, Client

from .fake_server import DEADLINE, FakeServer

REPO = Path(__file__).resolve().parents[2]
EXAMPLES = REPO / "client" / "examples"
TOKEN = "token-of-alice"

# The examples are scripts, not part of the installed package.
sys.path.append(str(EXAMPLES))


# For tests of what holds whichever way a bot speaks: with exchanges, and with a server of old by single calls.
either_way = pytest.mark.parametrize("server", [True, False], ids=["exchange", "single"], indirect=True)


def handed_back(server: FakeServer, job: int) -> bool:
    """Whether the bot gave this job back: by its goodbye or, where the server takes none, by itself."""
    released = [call.body for call in server.of(f"jobs/{job}/release")]
    return len(server.of("goodbye")) == 1 and released == ([] if server.takes_goodbye else [{"attempt": 1}])


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[FakeServer]:
    server = FakeServer(exchanges=getattr(request, "param", True))
    yield server
    server.stop()


class Patient(Client):
    """A client that notes its waits and does not wait."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.waits: list[float] = []

    def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


@pytest.fixture
def client(server: FakeServer) -> Iterator[Patient]:
    with Patient(server.url, TOKEN) as client:
        yield client


class Running:
    """A bot that runs on a thread of the test's process."""

    def __init__(self, bot: Bot) -> None:
        self.bot = bot
        self._code: int | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._code = self.bot.run()

    def ended(self) -> int:
        """Wait until the bot has ended by itself; its exit code."""
        self._thread.join(DEADLINE)
        assert self._code is not None, "the bot did not end"
        return self._code

    def stop(self) -> int:
        self.bot.stop()
        return self.ended()


@pytest.fixture
def run_bot(server: FakeServer, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start a bot with these handlers; it is stopped when the test is over."""
    started: list[Running] = []

    def start(handlers: dict[str, Any], **options: Any) -> Running:
        quick = {"poll_every": 0.05, "heartbeat_every": 0.05, "grace": 0.2, "keep_results_in": tmp_path / "results"}
        running = Running(Bot(server.url, TOKEN, handlers, **{**quick, **options}))
        started.append(running)
        return running

    yield start
    for running in started:
        running.stop()


@pytest.fixture
def start_demo(server: FakeServer) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start the demo bot as a process of its own; it is killed, if it still runs, when the test is over."""
    started: list[subprocess.Popen[str]] = []

    def start(*flags: str) -> "subprocess.Popen[str]":
        command = [sys.executable, str(EXAMPLES / "demo_bot.py"), "--url", server.url, *flags]
        process = subprocess.Popen(
            command,
            env={**os.environ, "JOBSITE_TOKEN": TOKEN, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
