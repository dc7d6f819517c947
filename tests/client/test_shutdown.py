"""SIGTERM and SIGINT, sent to a real process."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from .conftest import TOKEN, Running, either_way, handed_back
from .fake_server import DEADLINE, FakeServer, lease_lost, refusal

pytestmark = either_way
StartDemo = Callable[..., "subprocess.Popen[str]"]
SUM = {"numbers": [1, 2]}
#: A bot whose handler never looks up.
DEAF = """
import sys, time
from jobsite_client import Bot

def deaf(job):
    print("at work", flush=True)
    time.sleep(600)

sys.exit(Bot(sys.argv[1], sys.argv[2], {"sum": deaf}, grace=0.1).run())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_job_is_handed_back_on_sigterm(server: FakeServer, start_demo: StartDemo, number: signal.Signals) -> None:
    job = server.add_job("sum", SUM)
    process = start_demo("--slow", "600", "--grace", "0.1")
    server.wait_for(f"jobs/{job}/heartbeat")
    process.send_signal(number)
    output, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, output
    assert handed_back(server, job)
    assert not server.of(f"jobs/{job}/complete")
    assert not server.of(f"jobs/{job}/fail")
    assert "handed back" in output


def test_a_process_ends_whose_handler_never_looks_up(server: FakeServer) -> None:
    job = server.add_job("sum", SUM)
    process = subprocess.Popen(
        [sys.executable, "-c", DEAF, server.url, TOKEN], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout
        assert any("at work" in line for line in process.stdout)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=DEADLINE)
    finally:
        process.kill()
    assert process.returncode == 0, output
    assert handed_back(server, job)


def test_a_running_job_may_finish_within_the_grace(server: FakeServer, run_bot: Callable[..., Running]) -> None:
    finish = threading.Event()
    job, unclaimed = server.add_job("slow"), server.add_job("slow")
    running = run_bot({"slow": lambda job: finish.wait(DEADLINE)}, grace=60)
    server.wait_for(f"jobs/{job}/heartbeat")
    running.bot.stop()
    server.wait_until(lambda: running.bot.stopping)
    finish.set()
    assert running.ended() == 0
    assert len(server.of(f"jobs/{job}/complete")) == 1
    assert not server.of(f"jobs/{job}/release")
    assert [left["id"] for left in server.pending] == [unclaimed]


def test_a_second_signal_ends_the_grace(server: FakeServer, start_demo: StartDemo) -> None:
    job = server.add_job("sum", SUM)
    process = start_demo("--slow", "600", "--grace", "600")
    server.wait_for(f"jobs/{job}/heartbeat")
    process.send_signal(signal.SIGTERM)
    assert process.stdout
    assert any("Waiting up to 600 s" in line for line in process.stdout)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, output
    assert handed_back(server, job)


def test_an_idle_bot_stops_at_once(server: FakeServer, start_demo: StartDemo) -> None:
    process = start_demo("--grace", "600")
    server.wait_for("claim")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, output


def test_a_job_lost_before_the_hand_back_is_no_error(server: FakeServer, start_demo: StartDemo) -> None:
    job = server.add_job("sum", SUM)
    server.answers["goodbye"] = [refusal(503, "unavailable")]
    server.sticky.add("goodbye")
    server.answers[f"jobs/{job}/release"] = [lease_lost()]
    process = start_demo("--slow", "600", "--grace", "0.1")
    server.wait_for(f"jobs/{job}/heartbeat")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, output
    assert "no need to hand it back, ended by operator alice" in output


def test_a_restart_ends_the_process_with_75(server: FakeServer, start_demo: StartDemo) -> None:
    job = server.add_job("sum", SUM)
    process = start_demo("--slow", "600")
    server.wait_for(f"jobs/{job}/heartbeat")
    server.restart = True
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 75, output
    assert handed_back(server, job)
