"""What a bot's turn answers, to the byte, and the rows that it leaves: every shape of claim and exchange.

`turn_answers.json` has for each shape its answers and afterwards all rows of jobs, events and bots. In it `<moment>`
stands for a moment: in an answer one with six digits and a Z.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client

from bots.models import Bot
from jobs.api import turn
from tests.api.calls import send
from tests.jobs.lifecycle import turn_shapes
from tests.jobs.lifecycle.turn_shapes import SHAPES, Cast

pytestmark = pytest.mark.django_db

EXPECTED: dict[str, Any] = json.loads(Path(__file__).with_name("turn_answers.json").read_text(encoding="utf-8"))
#: What every answer brings, a problem too.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

Run = Callable[[str], tuple[list[dict[str, Any]], list[str]]]


class Undo(Exception):
    """Leave no row behind."""


@pytest.fixture
def run(ada: Bot, bob: Bot, olga: User, client: Client) -> Run:
    """`run(shape)`: its answers, and the rows afterwards, which are undone."""

    def take(name: str) -> tuple[list[dict[str, Any]], list[str]]:
        answers, rows = list[dict[str, Any]](), list[str]()
        with pytest.raises(Undo), transaction.atomic():
            turn_shapes.begin()
            for sent in SHAPES[name](Cast(ada, bob, olga)):
                headers = {"Bot-Instance": sent.instance} if sent.instance else {}
                got = send(client, str(ada.token), "POST", sent.path, sent.body, **headers)  # type: ignore[attr-defined]
                shown = {k: v for k, v in got.headers.items() if k != "X-Request-ID"}
                answers.append(
                    {"status": got.status_code, "headers": shown, "body": turn_shapes.plain(got.content.decode())}
                )
                assert int(shown.pop("Content-Length")) == len(got.content)
            rows = turn_shapes.rows()
            raise Undo
        return answers, rows

    return take


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("read_by", ["the entry", "Django"])
def test_each_shape_has_its_answers_and_leaves_its_rows(
    name: str, read_by: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    if read_by == "Django":
        monkeypatch.setattr(turn, "read", lambda environ: None)
    answers, rows = run(name)
    for answer in answers:
        shown = answer.pop("headers")
        assert shown.pop("Content-Type") == (
            "application/json; charset=utf-8" if answer["status"] == 200 else "application/problem+json"
        )
        answer["retry_after"] = shown.pop("Retry-After", None)
        # Its parts come in any order.
        shown["Content-Security-Policy"] = "; ".join(sorted(shown["Content-Security-Policy"].split("; ")))
        assert shown == HEADERS
    assert answers == EXPECTED[name]["answers"]
    assert rows == EXPECTED[name]["rows"]
