"""Who sends slowly, or nothing, stops nobody else, holds no thread, and is answered in the end."""

import os
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psutil
import pytest
from django.contrib.auth.models import User

from bots.models import Bot
from tests import raw
from tests.api.calls import PREFIX
from tests.cast import enqueue_one
from tests.served import Served, served

pytestmark = pytest.mark.django_db(transaction=True)

#: More than there are threads, and more than a server takes calls from at a time.
STRANGERS = 400
LOGIN = ("POST", "/admin/login/", {"Content_Length": 40, "Content_Type": "application/x-www-form-urlencoded"})


@contextmanager
def a_patient_server() -> Iterator[Served]:
    """A server that gives bodies more time than a test has."""
    with served(BODY_SECONDS="300") as server:
        yield server


@pytest.fixture(scope="module")
def patient(django_db_setup: None, django_db_blocker: Any) -> Iterator[Served]:
    """One for all tests that leave it as it was."""
    with django_db_blocker.unblock(), a_patient_server() as server:
        yield server


@pytest.fixture
def ending(transactional_db: None) -> Iterator[Served]:
    """One that a test ends."""
    with a_patient_server() as server:
        yield server


@contextmanager
def slow(port: int, number: int, sent: bytes) -> Iterator[list[socket.socket]]:
    """So many connections that have sent this, and send no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    with ExitStack() as stack:
        there = [stack.enter_context(raw.connected(port)) for _ in range(number)]
        for one in there:
            one.sendall(sent)
        yield there


def claim(token: str, body: bytes = b"{}", **headers: object) -> bytes:
    head = {"Authorization": f"Bearer {token}", "Content_Length": len(body)} | headers
    return raw.request("POST", f"{PREFIX}/claim", body, **head)


def others_are_answered(port: int, token: str) -> None:
    """A probe and a bot's claim."""
    job = enqueue_one()
    assert raw.ask(port, raw.request("GET", "/livez")).status == 200
    said = raw.ask(port, claim(token))
    assert [claimed["id"] for claimed in said.json()["jobs"]] == [job.pk]


def test_forms_that_do_not_come_hold_no_thread(patient: Served, ada: Bot, ada_token: str) -> None:
    method, path, headers = LOGIN
    threads = patient.worker.num_threads()
    with slow(patient.port, STRANGERS, raw.request(method, path, b"user", **headers)):
        others_are_answered(patient.port, ada_token)
        assert patient.worker.num_threads() < threads + 20


def test_known_bots_that_send_slowly_hold_no_thread_either(
    patient: Served, ada: Bot, ada_token: str, bob_token: str
) -> None:
    with slow(patient.port, STRANGERS, claim(bob_token, b"{", Content_Length=40)):
        others_are_answered(patient.port, ada_token)


def test_an_unknown_token_is_refused_before_its_body_comes(patient: Served, ada: Bot, ada_token: str) -> None:
    with slow(patient.port, STRANGERS, claim("nobody", b"", Content_Length=40)) as there:
        others_are_answered(patient.port, ada_token)
        said = [raw.answer(one) for one in there]
    assert {answer.status for answer in said if answer} == {401}
    assert None not in said


@pytest.mark.parametrize("framing", [{"Content_Length": 60_000_000}, {"Transfer_Encoding": "chunked"}], ids=str)
def test_a_long_body_of_an_unknown_token_is_not_read(patient: Served, framing: dict[str, object]) -> None:
    chunk = b"%x\r\n%b\r\n" % (100_000, b" " * 100_000)
    with raw.connected(patient.port) as there:
        head = {"Authorization": "Bearer nobody", "Content_Type": "application/json"} | framing
        there.sendall(raw.request("POST", f"{PREFIX}/jobs/bulk", chunk, **head))
        said = raw.answer(there)
    assert said is not None
    assert said.status == 401


def test_a_body_that_does_not_come_in_time_is_refused(transactional_db: None, ada: Bot, ada_token: str) -> None:
    job = enqueue_one()
    method, path, headers = LOGIN
    with served(BODY_SECONDS="1") as server:
        for sent in (claim(ada_token, b"{", Content_Length=40), raw.request(method, path, b"user", **headers)):
            said = raw.ask(server.port, sent)
            assert (said.status, "did not come within 1 s" in said.body.decode()) == (408, True)
    job.refresh_from_db()
    assert job.status == "pending"


def test_the_server_ends_though_bodies_are_awaited(ending: Served, ada: Bot, ada_token: str) -> None:
    assert raw.ask(ending.port, claim(ada_token)).status == 200
    with slow(ending.port, 20, claim(ada_token, b"{", Content_Length=40)) as there:
        # All of them are being read once this is answered.
        assert raw.ask(ending.port, raw.request("GET", "/livez")).status == 200
        os.kill(ending.pid, signal.SIGTERM)
        said = [raw.answer(one) for one in there]
        _, alive = psutil.wait_procs([psutil.Process(ending.pid)], raw.PATIENCE)
    assert {answer.status for answer in said if answer} == {503}
    assert alive == []


def stream(key: str, body: bytes, length: int, **headers: object) -> bytes:
    head = {"Authorization": f"Bearer {key}", "Content_Type": "application/x-ndjson", "Content_Length": length}
    return raw.request("POST", f"{PREFIX}/jobs/bulk", body, **head | headers)


def test_streams_of_jobs_do_not_hold_every_thread(ending: Served, ada: Bot, ada_token: str, olga_key: str) -> None:
    line = b'{"kind":"other"}\n'
    with raw.connected(ending.port) as first:
        first.sendall(stream(olga_key, b"", 1000, Expect="100-continue"))
        # It is being read from now on.
        begun = raw.answer(first)
        assert begun is not None
        assert begun.status == 100
        first.sendall(line)
        # Of four threads one is for streams.
        assert raw.ask(ending.port, stream(olga_key, line, len(line))).status == 503
        others_are_answered(ending.port, ada_token)
        os.kill(ending.pid, signal.SIGTERM)
        last = raw.answer(first)
    assert last is not None
    assert (last.status, "shutting down" in last.json()["detail"]) == (503, True)


def test_a_stream_of_an_unknown_key_is_not_read(patient: Served) -> None:
    with raw.connected(patient.port) as there:
        there.sendall(stream("nobody", b"", 1000))
        said = raw.answer(there)
    assert said is not None
    assert said.status == 401


def test_long_forms_take_no_memory(patient: Served) -> None:
    form = b"username=" + b"x" * 60_000_000
    head = {"Content_Length": len(form), "Content_Type": "application/x-www-form-urlencoded"}
    before = patient.memory()
    for _ in range(3):
        assert raw.ask(patient.port, raw.request("POST", "/admin/login/", b"username=", **head)).status == 413
    assert patient.memory() - before < 20_000_000


def test_a_stranger_sends_no_files(patient: Served, olga: User) -> None:
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n{}\r\n--x--\r\n'
    head = {"Content_Length": len(form), "Content_Type": "multipart/form-data; boundary=x"}
    for path in ("/admin/login/", "/admin/jobs/job/upload/"):
        assert raw.ask(patient.port, raw.request("POST", path, form, **head)).status == 403
