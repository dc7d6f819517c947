"""What the library has for tests of users' handlers: `run_inline`, a server in memory, and a fixture of pytest."""

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobsite_client import Bot, Cancelled, GiveUp, Job, PayloadError, RetryLater, current_job
from jobsite_client.testing import MemoryServer, run_inline

from .conftest import REPO


@dataclass
class Picture:
    image: str
    width: int = 640


def resize(job: Job, picture: Picture) -> dict[str, object]:
    job.progress(50, "half way")
    job.check()
    assert current_job() is job
    return {"image": picture.image, "width": picture.width, "at": datetime(2030, 1, 2, tzinfo=UTC)}


async def later(job: Job) -> tuple[str, str]:
    return job.kind, str(job.key)


def fussy(job: Job) -> int:
    if job.payload == "wait":
        raise RetryLater(60)
    if job.payload is None:
        raise GiveUp("There is no payload.")
    return int(job.payload)


def obedient(job: Job) -> None:
    job.cancelled.wait(20)
    job.check()


# --- One handler ------------------------------------------------------------------------------------------------------


def test_a_handler_gets_its_payload_and_its_result_is_as_the_server_has_it() -> None:
    notes: list[object] = []
    result = run_inline(resize, {"image": "a.png"}, on_progress=lambda percent, note: notes.append((percent, note)))
    assert result == {"image": "a.png", "width": 640, "at": "2030-01-02T00:00:00Z"}
    assert notes == [(50, "half way")]
    assert run_inline(later, kind="mail", key="k") == ["mail", "k"]
    assert current_job() is None


def test_what_a_handler_raises_is_raised() -> None:
    with pytest.raises(PayloadError, match="width"):
        run_inline(resize, {"image": "a.png", "width": "wide"})
    with pytest.raises(GiveUp, match="no payload"):
        run_inline(fussy)
    with pytest.raises(RetryLater) as waits:
        run_inline(fussy, "wait")
    assert waits.value.seconds == 60
    with pytest.raises(ValueError, match="invalid literal"):
        run_inline(fussy, "x")


@pytest.mark.parametrize("handler", [obedient, later])
def test_a_cancelled_job_stops_its_handler(handler: object) -> None:
    with pytest.raises(Cancelled, match="The test cancelled it"):
        run_inline(handler, cancelled=True)  # type: ignore[arg-type]


def test_what_cannot_be_sent_is_an_error_and_encode_helps() -> None:
    with pytest.raises(GiveUp, match="cannot be sent"):
        run_inline(lambda job: object())
    assert run_inline(lambda job: object(), encode_other=lambda value: "an object") == "an object"
    with pytest.raises(ValueError, match="not JSON"):
        run_inline(fussy, {1, 2})


# --- A bot ------------------------------------------------------------------------------------------------------------


def test_a_bot_works_on_all_jobs_and_they_end_as_they_would() -> None:
    with MemoryServer() as server:
        good, bad, hopeless = server.enqueue("n", 4), server.enqueue("n", "x"), server.enqueue("n")
        postponed = server.enqueue("n", "wait")
        server.work({"n": fussy})
        assert (good.status, good.result) == ("succeeded", 4)
        assert (bad.status, len(bad.ended)) == ("failed", 3)
        assert (hopeless.status, hopeless.error) == ("failed", "There is no payload.")
        assert (postponed.status, len(postponed.ended)) == ("pending", 1)


def test_a_bot_of_the_users_own_runs_as_often_as_tests_like() -> None:
    bot = Bot("http://127.0.0.1:1", "token", {"n": fussy}, concurrency=2)
    for number in range(2):
        with MemoryServer() as server:
            job = server.enqueue("n", number)
            server.work(bot)
            assert job.result == number
    assert not bot.stopping


def test_a_cancelled_job_reaches_its_handler() -> None:
    with MemoryServer() as server:
        job = server.enqueue("wait")

        def cancels(running: Job) -> None:
            server.cancel(job)
            obedient(running)

        server.work(Bot("http://127.0.0.1:1", "token", {"wait": cancels}, heartbeat_every=0.05))
        assert (job.status, job.result) == ("cancelled", None)


def test_jobs_that_no_handler_takes_are_named_after_the_time() -> None:
    with MemoryServer() as server:
        job = server.enqueue("mail")
        with pytest.raises(TimeoutError, match=rf"job {job.id} \(mail\) is pending"):
            server.work({"n": fussy}, seconds=0.2)


# --- pytest -----------------------------------------------------------------------------------------------------------

TESTS = """
def test_it(jobsite_server):
    job = jobsite_server.enqueue("double", 4)
    jobsite_server.work({"double": lambda job: job.payload * 2})
    assert job.result == 8
"""


def test_pytest_has_the_fixture(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    # Whether it is installed with its entry point or not.
    env = os.environ | {"PYTHONPATH": str(REPO / "client"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    plugins = ["-p", "jobsite_client.testing.plugin", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, "-q", "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=tmp_path, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "1 passed" in done.stdout, done.stdout + done.stderr
