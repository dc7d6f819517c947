"""The site as the web server calls it: turns are answered at once, all else goes on to Django whole."""

import io
import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.conf import settings as site
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from bots.models import Bot
from jobs import lifecycle
from jobs.lifecycle import By
from jobs.models import Job
from jobsite.entry import Entry
from jobsite.lib import bodies, log_context
from tests.api.calls import refused, send
from tests.cast import database_url, enqueue_one

pytestmark = pytest.mark.django_db
Said = tuple[int, dict[str, str], bytes]
#: A body that no plain turn has: one job, named twice.
NOT_PLAIN = b'{"completed": [{"id": 1, "attempt": 1}], "heartbeats": [{"id": 1, "attempt": 1}]}'


def never(environ: Any, start_response: Any) -> Any:
    raise AssertionError("this was not for Django")


class Heard:
    """In place of Django: it keeps the body that comes to it."""

    body: bytes | None = None

    def __call__(self, environ: Any, start_response: Any) -> Any:
        self.body = environ["wsgi.input"].read()
        start_response("204 No Content", [])
        return []


@pytest.fixture
def call(ada_token: str) -> Callable[..., Said]:
    """`call(django, body, path)`: one call by ada, as the web server makes it."""

    def make(django: Any, body: bytes = b"{}", path: str = "/api/v1/exchange", **more: Any) -> Said:
        answered = dict[str, Any]()

        def start(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
            answered.update(status=int(status[:3]), headers=dict(headers))

        environ = {
            "REQUEST_METHOD": "POST", "PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": "",
            "SERVER_NAME": "localhost", "SERVER_PORT": "8000", "HTTP_HOST": "localhost:8000",
            "HTTP_AUTHORIZATION": f"Bearer {ada_token}", "CONTENT_LENGTH": str(len(body)),
            "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True, **more,
        }  # fmt: skip
        said = b"".join(Entry(django)(environ, start))
        return answered["status"], answered["headers"], said

    return make


@pytest.mark.parametrize("path", ["/api/v1/claim", "/api/v1/exchange"])
def test_a_plain_turn_never_comes_to_django(call: Callable[..., Said], path: str) -> None:
    job = enqueue_one()
    body = b"{}" if path.endswith("claim") else b'{"claim": {}}'
    status, headers, said = call(never, body, path)
    assert (status, [j["id"] for j in json.loads(said)["jobs"]]) == (200, [job.pk])
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert len(headers["X-Request-ID"]) == 16


def test_a_claim_may_have_no_body(call: Callable[..., Said]) -> None:
    job = enqueue_one()
    said = call(never, b"", "/api/v1/claim", CONTENT_LENGTH="")[2]
    assert [j["id"] for j in json.loads(said)["jobs"]] == [job.pk]


def test_what_is_not_plain_goes_on_with_the_body_it_came_with(call: Callable[..., Said]) -> None:
    django = Heard()
    status, headers, _ = call(django, NOT_PLAIN)
    assert (status, django.body) == (204, NOT_PLAIN)
    assert len(headers["X-Request-ID"]) == 16


def test_a_turn_whose_body_broke_off_is_not_taken(call: Callable[..., Said]) -> None:
    job = enqueue_one()
    for body in (b"", b"{}"):
        status, _, said = call(never, body, "/api/v1/claim", CONTENT_LENGTH="40")
        assert (status, json.loads(said)["code"]) == (400, "bad_request")
    assert Job.objects.get(pk=job.pk).status == "pending"


@pytest.mark.parametrize(
    "odd",
    [
        {"REQUEST_METHOD": "GET"}, {"HTTP_AUTHORIZATION": ""}, {"HTTP_HOST": "elsewhere.example"},
        {"HTTP_BOT_INSTANCE": "x" * 101}, {"PATH_INFO": "/api/v1/exchange/"},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_out_of_the_ordinary_is_not_even_read(call: Callable[..., Said], odd: dict[str, str]) -> None:
    job = enqueue_one()
    django = Heard()
    assert call(django, b'{"claim": {}}', **odd)[0] == 204
    assert django.body == b'{"claim": {}}'
    assert Job.objects.get(pk=job.pk).status == "pending"


def test_a_body_that_is_too_long_is_refused_and_not_read_to_its_end(
    call: Callable[..., Said], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MAX_BODY_BYTES = 100
    monkeypatch.setattr(bodies, "SPARE_BYTES", 50)
    stream = io.BytesIO(b" " * 10_000)
    status, headers, said = call(never, b" " * 10_000, **{"wsgi.input": stream})
    assert (status, json.loads(said)["code"]) == (413, "too_large")
    assert headers["Content-Type"] == "application/problem+json"
    assert stream.tell() <= 100 + 1 + 50


def test_a_turn_that_must_come_by_https_is_sent_there_and_nothing_is_done(
    client: Client, ada_token: str, settings: Any
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    job = enqueue_one()
    said = send(client, ada_token, "POST", "/claim", {})
    assert (said.status_code, said["Location"]) == (301, "https://testserver/api/v1/claim")
    assert Job.objects.get(pk=job.pk).status == "pending"
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    said = send(client, ada_token, "POST", "/claim", {}, **{"X-Forwarded-Proto": "https"})
    assert [j["id"] for j in said.json()["jobs"]] == [job.pk]


def test_a_turn_is_a_request_with_a_number(call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    seen, take_turn = list[Any](), lifecycle.take_turn
    monkeypatch.setattr(lifecycle, "take_turn", lambda request: seen.append(log_context.bound()) or take_turn(request))
    assert call(never, HTTP_X_REQUEST_ID="mine-1")[1]["X-Request-ID"] == "mine-1"
    assert seen[0]["request_id"] == "mine-1"


@pytest.mark.django_db(transaction=True)
def test_a_turn_that_asked_django_for_a_connection_gives_it_back(
    call: Callable[..., Said], ada: Bot, olga: User
) -> None:
    lifecycle.restart(Bot.objects.filter(pk=ada.pk), by=By.operator(olga))
    connection.close()
    assert json.loads(call(never)[2])["restart"] is True
    assert connection.connection is None


@pytest.mark.django_db(transaction=True)
def test_after_the_database_was_restarted_turns_are_answered_again(call: Callable[..., Said]) -> None:
    assert call(never)[0] == 200
    connection.close()
    with psycopg.connect(database_url(), autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    statuses = [call(never)[0] for _ in range(site.DATABASES["default"]["OPTIONS"]["pool"]["max_size"] + 1)]
    assert set(statuses) <= {200, 503}
    assert statuses[-1] == 200


def test_a_fault_of_ours_in_a_turn_is_a_problem_and_is_not_tried_again(
    call: Callable[..., Said], client: Client, ada_token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fall(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a secret")

    monkeypatch.setattr(lifecycle, "take_turn", fall)
    status, headers, said = call(never)
    assert (status, json.loads(said)["code"], b"secret" in said) == (500, "server_error", False)
    assert len(headers["X-Request-ID"]) == 16
    refused(send(client, ada_token, "POST", "/exchange", {}), 500, "server_error")


@pytest.mark.parametrize("broken", ["jobsite.metrics.observe", "jobs.turns.waiting.release_connection"])
def test_a_claim_is_answered_whatever_fails_after_it_was_committed(
    call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    job = enqueue_one()

    def fail(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(broken, fail)
    status, _, body = call(never, path="/api/v1/claim")
    assert (status, [given["id"] for given in json.loads(body)["jobs"]]) == (200, [job.pk])
