"""A body that broke off is not an empty one: nothing is done, by no call of the API and no form of the console."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from bots.models import Bot
from jobs.models import Job, JobEvent
from jobsite.urls import api
from tests import raw
from tests.api.calls import CALLS, PREFIX, rows
from tests.cast import enqueue_one, take_one
from tests.far_side import an_incident
from tests.served import Served, served

pytestmark = pytest.mark.django_db(transaction=True)

#: The ways in which a body breaks off: the headers, and all that comes.
BROKEN = {
    "nothing of 40 bytes": ({"Content_Length": 40}, b""),
    "less than 40 bytes": ({"Content_Length": 40}, b"{}"),
    "JSON that is whole, of 40 bytes": ({"Content_Length": 40}, b'{"attempt": 1}'),
    "chunks without an end": ({"Transfer_Encoding": "chunked"}, b"2\r\n{}\r\n"),
    "no chunk at all": ({"Transfer_Encoding": "chunked"}, b""),
    "half a chunk": ({"Transfer_Encoding": "chunked"}, b"20\r\n{}"),
    "a chunk of no size": ({"Transfer_Encoding": "chunked"}, b"zz\r\n{}\r\n0\r\n\r\n"),
    "a bad second chunk": ({"Transfer_Encoding": "chunked"}, b"2\r\n{}\r\n-1\r\n\r\n"),
}


def calls() -> list[tuple[str, str]]:
    """Every call with a method that may change something, by the OpenAPI document."""
    document = api.get_openapi_schema()
    return [
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        if method.upper() not in ("GET", "HEAD", "OPTIONS")
    ]


@pytest.fixture(scope="module")
def server(django_db_setup: None) -> Iterator[Served]:
    with served() as server:
        yield server


def test_no_call_does_anything_with_a_broken_body(server: Served, ada: Bot, ada_token: str, olga_key: str) -> None:
    every_call = calls()
    assert set(every_call) == {(call.method, PREFIX + call.path) for call in CALLS if call.method != "GET"}
    lease, incident = take_one(ada), an_incident()
    enqueue_one()
    ids = {"job_id": lease.id, "bot_id": ada.pk, "incident_id": incident.pk}
    before = rows()
    for method, template in every_call:
        path = template
        for name, value in ids.items():
            path = path.replace(f"{{{name}}}", str(value))
        for how, (headers, sent) in BROKEN.items():
            for token in (ada_token, olga_key):
                head = {"Authorization": f"Bearer {token}", "Content_Type": "application/json"} | headers
                said = raw.cut_off(server.port, raw.request(method, path, sent, **head))
                assert said is not None, f"{method} {path}: {how}"
                assert (said.status, said.json()["code"]) == (400, "bad_request"), f"{method} {path}: {how}"
                assert "broke off" in said.json()["detail"]
    assert rows() == before


def test_the_same_calls_with_whole_bodies_are_taken(server: Served, ada: Bot, ada_token: str) -> None:
    enqueue_one()
    enqueue_one()
    for headers, sent in (({"Transfer_Encoding": "chunked"}, b"2\r\n{}\r\n0\r\n\r\n"), ({"Content_Length": 2}, b"{}")):
        head = {"Authorization": f"Bearer {ada_token}"} | headers
        said = raw.ask(server.port, raw.request("POST", f"{PREFIX}/claim", sent, **head))
        assert (said.status, len(said.json()["jobs"])) == (200, 1)


def test_no_form_does_anything_with_a_broken_body(server: Served, client: Client, olga: User, ada: Bot) -> None:
    lease = take_one(ada)
    client.force_login(olga)
    page = client.get(f"/admin/jobs/job/{lease.id}/change/")
    token = page.context["csrf_token"]
    cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
    form = f"csrfmiddlewaretoken={token}&reason=x".encode()
    for url in (f"/admin/jobs/job/{lease.id}/release/", f"/admin/bots/bot/{ada.pk}/restart/", "/admin/login/"):
        for headers in ({"Content_Length": len(form) + 1}, {"Transfer_Encoding": "chunked"}):
            sent = form if "Content_Length" in headers else b"%x\r\n%b\r\n" % (len(form), form)
            head = {"Cookie": cookies, "Content_Type": "application/x-www-form-urlencoded"} | headers
            said = raw.cut_off(server.port, raw.request("POST", url, sent, **head))
            assert said is not None
            assert said.status == 400, url
    assert Job.objects.get(pk=lease.id).claimed_by == ada
    assert not JobEvent.objects.filter(job=lease.id, verb="release").exists()


def test_a_server_that_cannot_tell_the_end_of_chunks_does_not_take_them(client: Client, ada_token: str) -> None:
    job = enqueue_one()
    said: Any = client.generic(
        "POST", f"{PREFIX}/claim", b"{}", content_type="application/json", CONTENT_LENGTH="",
        headers={"Authorization": f"Bearer {ada_token}", "Transfer-Encoding": "chunked"},
    )  # fmt: skip
    assert (said.status_code, json.loads(said.content)["code"]) == (411, "length_required")
    assert Job.objects.get(pk=job.pk).status == "pending"
