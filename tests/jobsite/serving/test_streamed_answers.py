"""A long answer is sent as it is made, and its thread ends when its client is gone."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client

from bots.models import Bot
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from tests import raw
from tests.api.calls import PREFIX
from tests.served import Served, served

pytestmark = pytest.mark.django_db(transaction=True)

JOBS = 4000


@pytest.fixture(scope="module")
def server(django_db_setup: None) -> Iterator[Served]:
    with served() as server:
        yield server


@pytest.fixture
def export(client: Client, olga: User) -> bytes:
    """The request for a list of some megabytes."""
    insert.enqueue([NewJob(kind="sum", payload="x" * 2000) for _ in range(JOBS)])
    client.force_login(olga)
    cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
    return raw.request("GET", "/admin/jobs/job/export/?format=ndjson", Cookie=cookies)


def test_it_comes_whole(server: Served, export: bytes) -> None:
    got = b""
    with raw.connected(server.port) as there:
        there.sendall(export)
        while not got.endswith(b"\r\n0\r\n\r\n"):
            part = there.recv(1 << 20)
            assert part
            got += part
    assert got.startswith(b"HTTP/1.1 200")
    assert got.count(b'"kind": "sum"') == JOBS


def test_clients_that_leave_hold_no_thread(server: Served, export: bytes, ada: Bot, ada_token: str) -> None:
    for _ in range(8):
        with raw.connected(server.port) as there:
            there.sendall(export)
            assert there.recv(1000).startswith(b"HTTP/1.1 200")
    head = {"Authorization": f"Bearer {ada_token}", "Content_Length": 2}
    assert raw.ask(server.port, raw.request("POST", f"{PREFIX}/claim", b"{}", **head)).status == 200
