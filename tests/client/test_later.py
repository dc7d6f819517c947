"""A handler says when its job is to be tried again, or puts it off, and so does the service that refused it."""

import email.utils
import io
import time
import urllib.error
from collections.abc import Callable
from email.message import Message

import httpx
import pytest

from jobsite_client import Job, RetryLater
from jobsite_client.retry_after import retry_in

from .conftest import Running, either_way
from .fake_server import FakeServer, refusal

RunBot = Callable[..., Running]


def refused_by_httpx(after: str) -> httpx.HTTPStatusError:
    request = httpx.Request("GET", "http://127.0.0.1/")
    return httpx.HTTPStatusError("No.", request=request, response=httpx.Response(429, headers={"Retry-After": after}))


def refused_by_urllib(after: str) -> urllib.error.HTTPError:
    headers = Message()
    headers["Retry-After"] = after
    return urllib.error.HTTPError("http://127.0.0.1/", 503, "No.", headers, io.BytesIO())


@either_way
@pytest.mark.parametrize("error", [RetryLater(90), refused_by_httpx("90"), refused_by_urllib("90")], ids=type)
def test_a_failure_says_when_the_next_attempt_is(server: FakeServer, run_bot: RunBot, error: Exception) -> None:
    def fails(job: Job) -> None:
        raise error

    job = server.add_job("sum")
    run_bot({"sum": fails})
    [call] = server.wait_for(f"jobs/{job}/fail")
    assert (call.body["retry"], call.body["retry_in"]) == (True, 90)


@either_way
def test_a_handler_puts_its_job_off(server: FakeServer, run_bot: RunBot) -> None:
    job = server.add_job("sum")
    run_bot({"sum": lambda job: job.defer(60, "not yet")})
    [call] = server.wait_for(f"jobs/{job}/release")
    assert call.body == {"attempt": 1, "run_in": 60, "reason": "not yet"}


@either_way
def test_one_that_was_put_off_too_often_fails(server: FakeServer, run_bot: RunBot) -> None:
    job = server.add_job("sum")
    server.answers[f"jobs/{job}/release"] = [refusal(409, "too_many_deferrals", "Job 1 was deferred 100 times.")]
    run_bot({"sum": lambda job: job.defer(60)})
    [call] = server.wait_for(f"jobs/{job}/fail")
    assert call.body["error"] == "Job 1 was deferred 100 times."


@pytest.mark.parametrize(
    ("value", "seconds"), [("120", 120), ("0", 0), ("soon", None), ("-5", None), ("", None), ("9" * 12, 365 * 86400)]
)
def test_what_retry_after_may_say(value: str, seconds: float | None) -> None:
    assert retry_in(refused_by_httpx(value)) == seconds
    assert retry_in(refused_by_urllib(value)) == seconds


def test_it_may_be_a_date() -> None:
    assert retry_in(refused_by_httpx(email.utils.formatdate(time.time() + 300, usegmt=True))) == pytest.approx(
        300, abs=5
    )
    assert retry_in(refused_by_httpx(email.utils.formatdate(time.time() - 300, usegmt=True))) == 0


def test_no_other_error_says_when() -> None:
    assert retry_in(RuntimeError("no")) is None
    assert retry_in(httpx.ConnectError("no")) is None
