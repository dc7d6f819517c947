"""NDJSON to a real server: in chunks, cut off half-way, and longer than what is in memory."""

import gzip
import http.client
import itertools
import json
import socket
import time
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now

from bots import roster
from bots.models import ApiKey
from jobs.api import auth
from jobs.models import Job, JobKind
from tests.race import until
from tests.served import Served, served

pytestmark = pytest.mark.django_db(transaction=True)

GOOD = b'{"kind":"sum","payload":%d}\n'
#: A thousand bytes.
LONG = b'{"kind":"sum","payload":"%b"}\n' % (b"x" * 972)
PATH = "/api/v1/jobs/bulk"


@pytest.fixture(scope="module")
def server(django_db_setup: None) -> Iterator[Served]:
    with served(MAX_STREAM_BYTES="50000000") as server:
        yield server


@pytest.fixture
def fresh_server(transactional_db: None) -> Iterator[Served]:
    """One whose memory nobody has used before."""
    with served(MAX_STREAM_BYTES="50000000") as server:
        yield server


def head(key: str, **more: Any) -> dict[str, str]:
    named = {name.replace("_", "-"): str(value) for name, value in more.items()}
    return {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"} | named


def post(
    server: Served, key: str, body: Iterable[bytes], query: str = "", path: str = PATH, **more: Any
) -> tuple[int, dict[str, Any]]:
    """One request; in chunks unless `Content_Length` is given."""
    there = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    chunked = "Content_Length" not in more
    headers = head(key, **more) | ({"Transfer-Encoding": "chunked"} if chunked else {})
    there.request("POST", path + query, iter(body), headers, encode_chunked=chunked)
    answer = there.getresponse()
    result = json.loads(answer.read())
    there.close()
    return answer.status, result


def cut_off(server: Served, key: str, body: bytes, *, length: int | None, query: str = "") -> None:
    """Send `body` and no more of what was announced; returns when the server has seen the end of it."""
    more = {"Transfer_Encoding": "chunked"} if length is None else {"Content_Length": length}
    lines = [f"POST {PATH}{query} HTTP/1.1", "Host: localhost", *(f"{k}: {v}" for k, v in head(key, **more).items())]
    if length is None:
        body = b"%x\r\n%b\r\n" % (len(body), body)
    with socket.create_connection(("127.0.0.1", server.port), 60) as there:
        there.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        # The client is gone as far as the server can see, and still there to hear how it took that.
        there.shutdown(socket.SHUT_WR)
        there.settimeout(60)
        while there.recv(65536):
            pass


def nothing_is_open() -> bool:
    """Whether no other connection to this database is in a transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND xact_start IS NOT NULL)"
        )
        return bool(cursor.fetchone()[0])


def test_a_body_in_chunks_is_taken_when_its_end_can_be_known(server: Served, olga_key: str) -> None:
    chunks = [b'{"kind":"sum","pay', b'load":1}\n{"kind":"sum"', b"}\n"]
    status, result = post(server, olga_key, chunks)
    assert (status, result["code"]) == (411, "length_required")
    assert "?count=" in result["detail"]
    assert post(server, olga_key, chunks, "?count=2")[1]["created"] == 2
    zipped = gzip.compress(b"".join(chunks))
    assert post(server, olga_key, [zipped[:10], zipped[10:]], Content_Encoding="gzip")[1]["created"] == 2
    assert Job.objects.count() == 4


def test_a_json_body_in_chunks_is_read_and_bounded(server: Served, olga_key: str, ada_token: str) -> None:
    chunks = [b'{"jobs": [{"kind": ', b'"sum"}]}']
    status, result = post(server, olga_key, chunks, Content_Type="application/json")
    assert (status, result.get("created")) == (201, 1)
    status, result = post(server, ada_token, [b'{"lim', b'it": 1}'], path="/api/v1/claim")
    assert (status, len(result["jobs"])) == (200, 1)
    for path, token in (("/jobs", olga_key), ("/claim", ada_token)):
        huge = itertools.repeat(b" " * 100_000, 30)
        status, result = post(server, token, huge, path="/api/v1" + path, Content_Type="application/json")
        assert (status, result["code"]) == (413, "too_large")


def test_a_body_that_says_that_it_is_too_long_is_refused_in_words(server: Served, olga_key: str) -> None:
    huge = itertools.repeat(b" " * 100_000, 30)
    sizes = {"Content_Type": "application/json", "Content_Length": 3_000_000}
    status, result = post(server, olga_key, huge, path="/api/v1/jobs", **sizes)
    assert (status, result["code"]) == (413, "too_large")


def test_who_asks_before_sending_what_is_too_long_is_not_asked_for_it(server: Served, olga_key: str) -> None:
    headers = head(olga_key, Content_Type="application/json", Content_Length=3_000_000, Expect="100-continue")
    lines = ["POST /api/v1/jobs HTTP/1.1", "Host: localhost", *(f"{k}: {v}" for k, v in headers.items())]
    with socket.create_connection(("127.0.0.1", server.port), 60) as there:
        there.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        assert there.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_who_is_cut_off_half_way_leaves_nothing(server: Served, olga_key: str) -> None:
    # At the end of a line each time, so that nothing in what came looks half.
    cut_off(server, olga_key, GOOD % 1 * 3, length=1000)
    cut_off(server, olga_key, GOOD % 1 * 3, length=None)
    cut_off(server, olga_key, GOOD % 1 * 3, length=None, query="?count=5")
    assert post(server, olga_key, [GOOD % 2], Content_Length=len(GOOD % 2))[0] == 201
    assert [job.payload for job in Job.objects.all()] == [2]


def test_a_long_stream_takes_little_memory_and_no_transaction_while_it_comes(
    fresh_server: Served, olga_key: str
) -> None:
    server = fresh_server
    JobKind.objects.create(name="sum")
    block, blocks = LONG * 250, 160
    post(server, olga_key, [LONG], Content_Length=len(LONG))
    before = server.memory()
    peaks = []

    def coming() -> Iterator[bytes]:
        for n in range(blocks):
            if n % 40 == 39:
                peaks.append(server.memory())
                # One that began for a moment, of the server or of autovacuum, ends though no more of the body comes.
                until(nothing_is_open)
            yield block

    status, result = post(server, olga_key, coming(), Content_Length=len(block) * blocks)
    assert (status, result) == (201, {"created": 40_000, "existing": 0, "replaced": 0, "ids": None, "outcomes": None})
    assert len(peaks) == 4
    # The body has 40 MB.
    assert max(*peaks, server.memory()) - before < 25_000_000


def test_a_stream_in_chunks_that_never_ends_is_refused(server: Served, olga_key: str) -> None:
    # The limit is one of bytes: long lines reach it without a million jobs to read.
    huge = itertools.repeat(LONG * 1000, 60)
    try:
        status, result = post(server, olga_key, huge, "?count=1000000")
    except (BrokenPipeError, ConnectionResetError):
        # The server has answered and closed before all was sent.
        return
    else:
        assert (status, result["code"]) == (413, "too_large")
    finally:
        assert not Job.objects.exists()


@pytest.mark.parametrize("content_type", ["application/x-ndjson", "application/json"])
def test_a_key_that_was_revoked_while_the_body_came_stores_nothing(
    server: Served, olga_key: str, content_type: str
) -> None:
    whole = GOOD % 1 if "ndjson" in content_type else b'{"jobs":[{"kind":"sum"}]}'

    def body() -> Iterator[bytes]:
        yield whole[:10]
        # The server has the call, and recognised its key, when it has written its last use.
        until(ApiKey.objects.exclude(last_used_at=None).exists)
        time.sleep(auth.RECHECK_AFTER)
        roster.revoke_keys(ApiKey.objects.all())
        yield whole[10:]

    more = {"Content_Length": len(whole)}
    status, result = post(server, olga_key, body(), Content_Type=content_type, **more)
    assert (status, result["code"]) == (401, "unauthorized")
    assert not Job.objects.exists()


@pytest.mark.parametrize("change", ["expired", "without permission", "inactive"])
def test_a_key_that_lost_its_right_while_the_stream_came_stores_nothing(
    server: Served, olga: User, olga_key: str, change: str
) -> None:
    def body() -> Iterator[bytes]:
        yield GOOD % 1
        until(ApiKey.objects.exclude(last_used_at=None).exists)
        if change == "expired":
            ApiKey.objects.update(expires_at=Now())
        elif change == "inactive":
            User.objects.update(is_active=False)
        else:
            olga.user_permissions.clear()
        yield GOOD % 2

    status, result = post(server, olga_key, body(), Content_Length=len(GOOD % 1) + len(GOOD % 2))
    codes = {"expired": (401, "key_expired"), "inactive": (401, "unauthorized")}
    assert (status, result["code"]) == codes.get(change, (403, "forbidden"))
    assert not Job.objects.exists() and not JobKind.objects.exists()
