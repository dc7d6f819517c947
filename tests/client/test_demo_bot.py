"""The demo bot as a newcomer meets it: a process that works, hangs, crashes."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from demo_bot import FallsSilent

from .conftest import EXAMPLES
from .fake_server import DEADLINE, FakeServer, lease_lost

StartDemo = Callable[..., "subprocess.Popen[str]"]
SUM = {"numbers": [1, 2]}


def test_the_demo_bot_works_on_every_kind(server: FakeServer, start_demo: StartDemo, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one two two\n")
    for kind in ("sum", "subtract", "multiply", "divide"):
        server.add_job(kind, {"numbers": [6, 3]})
    for kind in ("checksum", "wordcount"):
        server.add_job(kind, {"path": "a.txt"})
    start_demo("--root", str(tmp_path), "--concurrency", "3")
    results = [server.wait_for(f"jobs/{job}/complete")[0].body["result"] for job in range(1, 7)]
    assert [result["value"] for result in results[:4]] == [9, 3, 18, 2]
    assert results[4]["bytes"] == 12
    assert results[5]["words"] == 3


def test_a_division_by_zero_fails_for_good(server: FakeServer, start_demo: StartDemo) -> None:
    job = server.add_job("divide", {"numbers": [1, 0]})
    start_demo()
    [call] = server.wait_for(f"jobs/{job}/fail")
    assert call.body["retry"] is False
    assert "Division by zero" in call.body["error"]


def test_a_crashing_bot_dies_in_its_nth_job_without_a_word(server: FakeServer, start_demo: StartDemo) -> None:
    first, second = server.add_job("sum", SUM), server.add_job("sum", SUM)
    process = start_demo("--crash", "--on-job", "2")
    output, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == -signal.SIGKILL, output
    assert len(server.of(f"jobs/{first}/complete")) == 1
    assert [call.path for call in server.calls if call.path.startswith(f"jobs/{second}/")] == []


def test_a_hanging_bot_reports_late_and_says_that_it_was_refused(server: FakeServer, start_demo: StartDemo) -> None:
    job = server.add_job("sum", SUM)
    server.answers[f"jobs/{job}/heartbeat"] = [lease_lost()]
    server.answers[f"jobs/{job}/complete"] = [lease_lost()]
    process = start_demo("--hang", "1")
    server.wait_for(f"jobs/{job}/complete")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=DEADLINE)
    assert "hanging for 1 s" in output
    refused = "refused the result (409 lease_lost), ended by operator alice at 03:04:05 UTC: it was stuck"
    assert refused in output


def test_a_bot_that_hangs_for_ever_is_silent_and_still_obeys_sigterm(server: FakeServer, start_demo: StartDemo) -> None:
    job = server.add_job("sum", SUM)
    process = start_demo("--hang")
    assert process.stdout
    assert any("hanging for ever" in line for line in process.stdout)
    heard = len(server.calls)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, output
    # Everything it said after falling silent, it said after the signal: the late report of its one job, and goodbye.
    last_words = {"exchange", f"jobs/{job}/complete", f"jobs/{job}/release", "goodbye"}
    assert {call.path for call in server.calls[heard:]} <= last_words


def test_a_silent_client_holds_every_call_until_it_is_awake(server: FakeServer) -> None:
    with FallsSilent(server.url, "t") as client:
        hanging = threading.Thread(target=client.hang, args=(0.5,))
        hanging.start()
        server.wait_until(lambda: not client.awake)
        client.bot_heartbeat()
        assert client.awake
        hanging.join()
    assert len(server.of("heartbeat")) == 1


def test_without_a_token_the_demo_bot_says_where_to_put_it() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "demo_bot.py")], check=False, env={}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "JOBSITE_TOKEN" in done.stderr


def test_the_sample_jobs_are_what_the_generator_writes() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "generate_jobs.py"), "--count", "3000", "--seed", "7"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == (EXAMPLES / "jobs.ndjson").read_text()


def test_the_sample_jobs_have_everything_the_demo_is_to_show() -> None:
    jobs = [json.loads(line) for line in (EXAMPLES / "jobs.ndjson").read_text().splitlines()]
    assert len({(job["kind"], job["key"]) for job in jobs}) == len(jobs) == 3000
    assert {job["kind"] for job in jobs} == {"sum", "subtract", "multiply", "divide", "checksum", "wordcount"}
    assert any(job["kind"] == "divide" and job["payload"]["numbers"][-1] == 0 for job in jobs)
    assert any(abs(number) >= 2**64 for job in jobs for number in job["payload"].get("numbers", ()))
    assert len({job["priority"] for job in jobs}) > 2
    # The work on files names papers of this project, by their path from its root.
    assert all(not Path(job["payload"]["path"]).is_absolute() for job in jobs if "path" in job["payload"])
