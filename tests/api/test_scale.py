"""What starts and stops bots asks how many jobs there are for them."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from bots import roster
from bots.models import Bot
from jobs import lifecycle
from jobs.lifecycle import By
from jobs.models import JobKind
from jobs.stats import counts
from tests.api.calls import refused, send
from tests.cast import enqueue_one, take_one

pytestmark = pytest.mark.django_db(transaction=True)


def scale(client: Client, key: str, query: str = "") -> Any:
    return send(client, key, "GET", f"/scale{query}").json()


def test_held_and_due_jobs_of_the_kinds_are_counted(client: Client, ada: Bot, olga_key: str) -> None:
    take_one(ada)
    for priority in (0, 0, 7, -3):
        enqueue_one(priority=priority)
    enqueue_one("mail", group="acme")
    enqueue_one("mail")
    assert scale(client, olga_key) == {
        "jobs": 7, "due": 6, "held": 1,
        "kinds": [{"kind": "mail", "jobs": 2, "due": 2, "held": 0}, {"kind": "sum", "jobs": 5, "due": 4, "held": 1}],
    }  # fmt: skip
    assert scale(client, olga_key, "?kind=mail")["jobs"] == 2
    assert scale(client, olga_key, "?kind=mail&kind=sum&kind=mail")["jobs"] == 7


def test_a_job_that_no_bot_can_have_now_is_not_due(client: Client, olga_key: str) -> None:
    now = timezone.now()
    enqueue_one(run_at=now + timedelta(hours=1))
    enqueue_one(start_by=now - timedelta(seconds=1))
    for kind in ("paused", "shut"):
        enqueue_one(kind)
    JobKind.objects.filter(name="paused").update(paused=True)
    lifecycle.throttle("shut", "", 60, by=By.operator(User.objects.get(username="olga")), reason="429")
    assert scale(client, olga_key)["jobs"] == 0


def test_no_more_than_a_kinds_limit_can_be_held(client: Client, ada: Bot, olga_key: str) -> None:
    for _ in range(2):
        take_one(ada)
    for _ in range(5):
        enqueue_one()
    JobKind.objects.filter(name="sum").update(max_held=3)
    assert scale(client, olga_key)["kinds"] == [{"kind": "sum", "jobs": 3, "due": 5, "held": 2}]
    JobKind.objects.filter(name="sum").update(max_held=1)
    assert scale(client, olga_key)["jobs"] == 2


def test_a_kind_without_jobs_has_none(client: Client, olga_key: str) -> None:
    assert scale(client, olga_key, "?kind=new")["kinds"] == [{"kind": "new", "jobs": 0, "due": 0, "held": 0}]


def test_the_count_stops_at_a_bound(client: Client, olga_key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "DUE", 3)
    for priority in (1, 1, 2, 2):
        enqueue_one(priority=priority)
    assert scale(client, olga_key)["due"] == 3


def test_a_key_for_some_kinds_counts_these(client: Client, olga: User) -> None:
    enqueue_one("mail")
    enqueue_one("sum")
    _, key = roster.create_key(olga, kinds=["mail"])
    assert scale(client, key)["jobs"] == 1
    refused(send(client, key, "GET", "/scale?kind=sum"), 403, "forbidden")


@pytest.mark.parametrize("query", ["?kind=", "?kind=a%20b", "?kind=%00", f"?kind={'x' * 101}", "?kind=a" * 201])
def test_what_cannot_be_a_kind_is_refused_by_name(client: Client, olga_key: str, query: str) -> None:
    problem = refused(send(client, olga_key, "GET", f"/scale?{query.replace('?', '&')}"), 422, "invalid")
    assert problem["errors"][0]["field"] == "kind"
