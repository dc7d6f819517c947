"""`GET /jobs`: its filters, each alone and all together, page by page."""

from collections.abc import Iterator
from itertools import combinations, product
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from bots import roster
from bots.models import Bot
from jobs import lifecycle
from jobs.models import Job, JobQuerySet
from tests.api.calls import refused, send
from tests.cast import Lease, enqueue_one

pytestmark = pytest.mark.django_db

CHOICES: dict[str, tuple[str, ...]] = {
    "status": ("pending", "processing"),
    "kind": ("mail",),
    "group": ("acme", "nobody"),
    "bot": ("ada", "nobody"),
    "key": ("order-1",),
}


@pytest.fixture
def jobs(ada: Bot, bob: Bot) -> None:
    """Jobs of two kinds and of two groups or none: held by each bot, succeeded, and pending."""
    for bot in (ada, bob):
        for kind, group in product(("sum", "mail"), ("", "acme", "blue") * 2):
            enqueue_one(kind, group=group)
        enqueue_one("mail", group="acme", key=f"order-{bot.name == 'bob'}", unique="unfinished")
        held = [Lease(bot, job.id, job.attempt) for job in lifecycle.claim(bot, limit=100)]
        for lease in held[::3]:
            lease.complete(1)
    for kind, group in product(("sum", "mail"), ("", "acme")):
        enqueue_one(kind, group=group)
        enqueue_one(kind, group=group, key=f"order-1{group}")
    enqueue_one("sum", key="order-1")


def expected(asked: dict[str, str]) -> JobQuerySet:
    """The jobs that a filter is about, found without it."""
    names = {"status": "status", "kind": "kind", "group": "group_name", "bot": "claimed_by__name", "key": "key"}
    return Job.objects.filter(**{names[name]: value for name, value in asked.items()}).order_by("-id")


def pages(client: Client, key: str, query: str, most: int) -> list[int]:
    """The ids of all pages of so many jobs each."""
    found: list[int] = []
    cursor = ""
    while True:
        answer = send(client, key, "GET", f"/jobs?{query}&limit={most}{cursor}")
        assert answer.status_code == 200, answer.content
        body = answer.json()
        found += [row["id"] for row in body["jobs"]]
        if body["next_cursor"] is None:
            return found
        assert len(body["jobs"]) == most
        cursor = f"&cursor={body['next_cursor']}"


def several() -> Iterator[dict[str, str]]:
    """Each two of the filters with each of their values, and all."""
    for one, other in combinations(CHOICES, 2):
        for values in product(CHOICES[one], CHOICES[other]):
            yield dict(zip((one, other), values, strict=True))
    yield {name: values[0] for name, values in CHOICES.items()}
    yield {name: values[-1] for name, values in CHOICES.items()} | {"bot": "ada", "group": "acme"}


def test_several_filters_find_what_each_of_them_finds(client: Client, olga_key: str, jobs: None) -> None:
    for asked in several():
        query = "&".join(f"{name}={value}" for name, value in asked.items())
        if "key" in asked and "kind" not in asked:
            refused(send(client, olga_key, "GET", f"/jobs?{query}"), 422, "invalid")
        else:
            assert pages(client, olga_key, query, 100) == list(expected(asked).values_list("pk", flat=True)), query


@pytest.mark.parametrize(
    "asked",
    [{}, {"status": "pending"}, {"kind": "sum"}, {"group": "acme"}, {"bot": "ada"}, {"group": "acme", "bot": "ada"}],
    ids=str,
)  # fmt: skip
def test_pages_go_on_where_the_last_one_ended(client: Client, olga_key: str, jobs: None, asked: dict[str, str]) -> None:
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    assert pages(client, olga_key, query, 3) == list(expected(asked).values_list("pk", flat=True))


def test_a_bot_is_found_by_its_id_as_well(client: Client, olga_key: str, jobs: None, ada: Bot) -> None:
    by_name = pages(client, olga_key, "bot=ada", 100)
    assert pages(client, olga_key, f"bot={ada.pk}", 100) == by_name != []
    assert pages(client, olga_key, "bot=999999999999999999", 100) == []


def test_a_key_of_some_kinds_lists_theirs_alone(client: Client, olga: User, jobs: None) -> None:
    of_mail = roster.create_key(olga, kinds=["mail"])[1]
    everything: Any = Job.objects.filter(kind="mail").order_by("-id")
    assert pages(client, of_mail, "", 100) == list(everything.values_list("pk", flat=True))
    acme = everything.filter(group_name="acme").values_list("pk", flat=True)
    assert pages(client, of_mail, "group=acme", 100) == list(acme)
    refused(send(client, of_mail, "GET", "/jobs?kind=sum"), 403, "forbidden")


LONG = "x" * 201


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("status=done", "status"), ("status=done&key=x", "status"), ("key=order-1", "key"), (f"group={LONG}", "group"),
        (f"key={LONG}", "key"), (f"bot={LONG}", "bot"), ("limit=0", "limit"), ("cursor=x&q=payload.x", "cursor"),
        ("q=x&key=order-1", "key"), ("q=x&group=acme&bot=ada", "group"), (f"q=x&key={LONG}", "key"),
        ("q=payload.x", "q"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_names_its_parameter(client: Client, olga_key: str, query: str, named: str) -> None:
    (error,) = refused(send(client, olga_key, "GET", f"/jobs?{query}"), 422, "invalid")["errors"]
    assert error["field"] == named
