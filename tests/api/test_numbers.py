"""Numbers in payloads and results: the bot and the producer get what was sent, or the sender gets an error."""

import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.http import HttpResponse
from django.test import Client

from bots.models import Bot
from jobs.models import Job
from tests.cast import enqueue_one, take_one

pytestmark = pytest.mark.django_db

KEPT = ("0.30000000000000004", "1e22", "9007199254740993", "-12.50", "7" * 4300)
ROUNDED = ("12345678901234567.89", "0.12345678901234567890123", "1e-400")

Send = Callable[[str, str], HttpResponse]


@pytest.fixture
def send(client: Client, olga_key: str, ada_token: str) -> Send:
    def post(path: str, text: str, content_type: str = "application/json") -> HttpResponse:
        token = olga_key if path.startswith("/jobs") and "complete" not in path else ada_token
        headers = {"authorization": f"Bearer {token}"}
        response: HttpResponse = client.post(f"/api/v1{path}", text, content_type=content_type, headers=headers)
        return response

    return post


@pytest.mark.parametrize("number", KEPT, ids=lambda text: text[:24])
def test_a_bot_gets_the_number_that_a_producer_sent(send: Send, number: str) -> None:
    assert send("/jobs", f'{{"kind": "sum", "payload": {number}}}').status_code == 201
    text = send("/claim", "{}").content.decode()
    (came,) = re.findall(r'"payload": ?([^,}]+)', text)
    assert Decimal(came) == Decimal(number)


@pytest.mark.parametrize("number", ROUNDED)
@pytest.mark.parametrize(
    ("path", "body", "content_type"),
    [
        ("/jobs", '{"kind": "sum", "payload": %s}', "application/json"),
        ("/jobs/bulk", '{"jobs": [{"kind": "sum", "payload": [%s]}]}', "application/json"),
        ("/jobs/bulk", '{"kind": "sum", "payload": {"n": %s}}\n', "application/x-ndjson"),
    ],
)
def test_a_producer_gets_an_error_for_a_number_that_would_be_rounded(
    send: Send, number: str, path: str, body: str, content_type: str
) -> None:
    response = send(path, body % number, content_type)  # type: ignore[call-arg]
    assert response.status_code in (400, 422)
    assert f"would be rounded to {float(number)}: {number}" in response.json()["detail"]
    assert not Job.objects.exists()


@pytest.mark.parametrize("number", ROUNDED)
def test_a_result_that_would_be_rounded_is_refused_and_the_bot_keeps_its_job(send: Send, ada: Bot, number: str) -> None:
    lease = take_one(ada)
    done = f'{{"id": {lease.id}, "attempt": {lease.attempt}, "result": {{"n": {number}}}}}'
    for path in (f"/jobs/{lease.id}/complete", "/exchange"):
        body = f'{{"completed": [{done}]}}' if path == "/exchange" else done.replace(f'"id": {lease.id}, ', "")
        response = send(path, body)
        assert response.status_code == 400
        assert "Send it as text." in response.json()["detail"]
    assert Job.objects.get(pk=lease.id).status == "processing"


def test_a_result_is_kept_as_it_was_sent(send: Send, ada: Bot) -> None:
    lease = take_one(ada)
    send(f"/jobs/{lease.id}/complete", f'{{"attempt": {lease.attempt}, "result": 1764220000.1234567}}')
    assert Job.objects.get(pk=lease.id).result == 1764220000.1234567


def test_a_number_in_a_text_is_not_looked_at(send: Send) -> None:
    assert send("/jobs", '{"kind": "sum", "payload": "12345678901234567.89"}').status_code == 201
    assert Job.objects.get().payload == "12345678901234567.89"
    assert enqueue_one(payload="1e-400").payload == "1e-400"
