"""Log lines of a handler have its job, in threads, on the loop and in processes; httpx is quiet about our calls."""

import asyncio
import io
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from jobsite_client import Client, Job, JobFilter, current_job, log_to_stderr
from jobsite_client.logs import FORMAT

from . import handlers
from .conftest import Running
from .fake_server import FakeServer

RunBot = Callable[..., Running]
studio = logging.getLogger("studio")


class Lines(logging.Handler):
    """Remembers what the root logger is given."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def of(self, name: str) -> list[logging.LogRecord]:
        return [record for record in self.records if record.name == name]


@pytest.fixture
def lines() -> Iterator[Lines]:
    lines = Lines()
    root = logging.getLogger()
    level = root.level
    root.addHandler(lines)
    root.setLevel(logging.INFO)
    yield lines
    root.removeHandler(lines)
    root.setLevel(level)


def about(record: logging.LogRecord) -> tuple[Any, ...]:
    return (record.kind, record.job, record.attempt)  # type: ignore[attr-defined]


def in_thread(job: Job) -> None:
    studio.info("resizing")


async def on_loop(job: Job) -> None:
    await asyncio.sleep(0.001)
    studio.info("resizing")
    await asyncio.to_thread(in_thread, job)


@pytest.mark.parametrize(
    ("handler", "options", "count"),
    [(in_thread, {}, 1), (on_loop, {"concurrency": 3}, 2), (handlers.chatty, {"processes": 1}, 1)],
    ids=["threads", "loop", "processes"],
)
def test_each_line_of_a_handler_has_its_job(
    server: FakeServer, run_bot: RunBot, lines: Lines, handler: Any, options: dict[str, Any], count: int
) -> None:
    jobs = [server.add_job("resize") for _ in range(3)]
    run_bot({"resize": handler}, **options)
    for job in jobs:
        server.wait_for(f"jobs/{job}/complete")
    seen = sorted(about(record) for record in lines.of("studio"))
    assert seen == [("resize", job, 1) for job in jobs for _ in range(count)]
    assert {record.levelname for record in lines.of("studio")} == {"INFO"}


def test_a_line_of_the_library_about_a_job_has_it_too(server: FakeServer, run_bot: RunBot, lines: Lines) -> None:
    job = server.add_job("resize")
    run_bot({"resize": in_thread})
    server.wait_for(f"jobs/{job}/complete")
    server.wait_until(lambda: any("completed" in record.getMessage() for record in lines.of("jobsite_client")))
    ours = {record.msg: record for record in lines.of("jobsite_client")}
    assert about(ours["%s: claimed."]) == ("resize", job, 1)
    assert about(next(record for message, record in ours.items() if "Said hello" in message)) == (None, None, None)


def test_the_job_is_gone_after_its_handler(server: FakeServer, run_bot: RunBot) -> None:
    seen: list[Any] = []
    first = server.add_job("resize")
    run_bot({"resize": lambda job: seen.append(current_job())}, on_start=lambda job: seen.append(current_job()))
    server.wait_for(f"jobs/{first}/complete")
    assert [job.id for job in seen] == [first, first]
    assert current_job() is None


def test_text_lines_begin_with_the_job_once(capsys: pytest.CaptureFixture[str]) -> None:
    record = logging.LogRecord("studio", logging.INFO, __file__, 1, "resizing", None, None)
    JobFilter().filter(record)
    assert logging.Formatter("%(during)s%(message)s").format(record) == "resizing"
    assert "%(during)s" in FORMAT


def test_one_call_sets_up_logging(monkeypatch: pytest.MonkeyPatch, server: FakeServer, run_bot: RunBot) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers = []
    try:
        log_to_stderr()
        job = server.add_job("resize")
        run_bot({"resize": in_thread})
        server.wait_for(f"jobs/{job}/complete")
    finally:
        root.handlers = before
        root.setLevel(level)
    text = written.getvalue()
    assert f" INFO Job {job} (resize), attempt 1: resizing\n" in text
    assert f" INFO Job {job} (resize), attempt 1: claimed.\n" in text
    assert "HTTP Request" not in text


# --- httpx ------------------------------------------------------------------------------------------------------------


def test_httpx_is_quiet_about_our_calls_and_no_others(server: FakeServer, client: Client, lines: Lines) -> None:
    client.job(1)
    assert lines.of("httpx") == []
    with httpx.Client() as others:
        others.get(f"{server.url}/api/v1/jobs/1")
    assert len(lines.of("httpx")) == 1


def test_it_is_not_where_the_library_is_to_log_everything(
    server: FakeServer, client: Client, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("jobsite_client"), "level", logging.DEBUG)
    logging.getLogger("jobsite_client").manager._clear_cache()  # type: ignore[attr-defined]
    client.job(1)
    assert "HTTP Request" in lines.of("httpx")[0].getMessage()
    monkeypatch.undo()
    logging.getLogger("jobsite_client").manager._clear_cache()  # type: ignore[attr-defined]


def test_calls_of_other_threads_are_not_ours(server: FakeServer, client: Client, lines: Lines) -> None:
    thread = threading.Thread(target=lambda: httpx.get(f"{server.url}/api/v1/jobs/1"))
    thread.start()
    thread.join()
    assert len(lines.of("httpx")) == 1
