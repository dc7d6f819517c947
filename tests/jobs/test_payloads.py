"""Payloads, results and errors are for those with the permission: everywhere that jobs are shown or searched."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from bots import roster
from bots.models import Bot
from jobs import lifecycle
from jobs.explain.timeline import timeline
from jobs.lifecycle import By
from jobs.models import Job
from jobs.payloads import NOTICE
from tests.api.calls import send
from tests.cast import Lease, enqueue_one, take_one

pytestmark = pytest.mark.django_db

SECRETS = ("customer-4711", "result-4712", "error-4713", "late-4714")


@pytest.fixture
def vic(vera: User) -> User:
    """Somebody who may see all but what jobs carry."""
    vera.user_permissions.remove(Permission.objects.get(codename="view_payload"))
    return User.objects.get(pk=vera.pk)


@pytest.fixture
def told(ada: Bot, olga: User) -> list[Job]:
    """A job that succeeded, one that failed, and one with a late result; each with something secret."""

    def take() -> Lease:
        return take_one(ada, payload={"who": "customer-4711"})

    done, failed, late = take(), take(), take()
    done.complete({"sum": "result-4712"})
    failed.fail("error-4713", retry=False)
    lifecycle.release([late.id], by=By.operator(olga), reason="ada hangs")
    late.complete({"sum": "late-4714"})
    return [done.job, failed.job, late.job]


def pages(jobs: list[Job], bot: Bot) -> list[str]:
    own = [f"/admin/jobs/job/{job.pk}/change/" for job in jobs]
    events = [f"/admin/jobs/jobevent/{event.pk}/change/" for job in jobs for event in job.events.all()]
    lists = ["/admin/", "/admin/jobs/job/", "/admin/jobs/job/?view=failed", "/admin/jobs/jobevent/"]
    exports = ["/admin/jobs/job/export/?format=csv", "/admin/jobs/job/export/?format=ndjson"]
    others = [f"/admin/bots/bot/{bot.pk}/change/", "/admin/jobs/jobevent/patterns/"]
    tables = ("bots", "reasons", "who", "ways")
    return own + events + lists + exports + others + [f"/admin/jobs/jobevent/patterns/{name}.csv" for name in tables]


def text_of(response: Any) -> str:
    body: bytes = response.getvalue() if response.streaming else response.content
    return body.decode()


def test_no_page_shows_them_to_others(client: Client, vic: User, told: list[Job], ada: Bot) -> None:
    client.force_login(vic)
    for url in pages(told, ada):
        response = client.get(url)
        assert response.status_code == 200, url
        text = text_of(response)
        assert not [secret for secret in SECRETS if secret in text], url
    own = client.get(f"/admin/jobs/job/{told[1].pk}/change/").content.decode()
    assert "Payload, result and error are hidden" in own and NOTICE in own


def test_pages_show_them_to_those_with_the_permission(client: Client, vera: User, told: list[Job], ada: Bot) -> None:
    client.force_login(vera)
    seen = "".join(text_of(client.get(url)) for url in pages(told, ada))
    assert [secret for secret in SECRETS if secret not in seen] == []


def test_nobody_else_searches_in_them(client: Client, vic: User, olga: User, told: list[Job]) -> None:
    for query in ("payload.who=customer-4711", 'error:"error-4713"'):
        for url in ("/admin/jobs/job/", "/admin/jobs/job/export/"):
            client.force_login(vic)
            assert client.get(url, {"q": query}).status_code == 403
            client.force_login(olga)
            assert client.get(url, {"q": query}).status_code == 200


def test_a_new_job_is_not_filled_in_from_the_last_one(client: Client, vic: User, told: list[Job]) -> None:
    vic.user_permissions.add(Permission.objects.get(codename="add_job"))
    client.force_login(vic)
    assert SECRETS[0] not in client.get("/admin/jobs/job/add/?kind=sum").content.decode()


def test_the_api_leaves_them_null_and_says_so(client: Client, vic: User, told: list[Job]) -> None:
    _, key = roster.create_key(vic)
    ids = [job.pk for job in told]
    calls = ["/jobs", "/stuck", *(f"/jobs/{i}{part}" for i in ids for part in ("", "/events", "/explain"))]
    for call in calls:
        answer = send(client, key, "GET", call)
        assert answer.status_code == 200
        assert not [secret for secret in SECRETS if secret in answer.content.decode()], call
    job = send(client, key, "GET", f"/jobs/{ids[1]}").json()
    assert (job["payload"], job["result"], job["error"]) == (None, None, None)
    assert job["hidden"] == ["payload", "result", "error"]


def test_the_api_shows_them_to_those_with_the_permission(client: Client, vera_key: str, told: list[Job]) -> None:
    job = send(client, vera_key, "GET", f"/jobs/{told[1].pk}").json()
    assert (job["payload"], job["error"], job["hidden"]) == ({"who": "customer-4711"}, "error-4713", [])
    events = send(client, vera_key, "GET", f"/jobs/{told[2].pk}/events").json()["events"]
    assert events[-1]["detail"]["result"] == {"sum": "late-4714"}
    assert events[0]["audit_id"] is not None


def test_a_producer_sees_what_it_sent_and_not_what_was_there(client: Client, nora: User, told: list[Job]) -> None:
    nora.user_permissions.add(Permission.objects.get(codename="add_job"))
    _, key = roster.create_key(nora)
    body = {"kind": "sum", "payload": {"mine": 1}, "key": "order-7"}
    created = send(client, key, "POST", "/jobs", body)
    assert (created.status_code, created.json()["payload"], created.json()["hidden"]) == (201, {"mine": 1}, [])
    there = send(client, key, "POST", "/jobs", body)
    assert (there.status_code, there.json()["payload"]) == (200, None)
    assert "payload" in there.json()["hidden"]


def test_the_events_themselves_stay_as_they_are(vic: User, told: list[Job]) -> None:
    from jobs import payloads

    shown = payloads.events_for(vic, told[1].events.all())
    assert [step.text for step in timeline(told[1], shown)][-1].endswith(NOTICE)
    assert told[1].events.get().reason == "error-4713"
    assert json.dumps(told[0].payload) == '{"who": "customer-4711"}'
    assert enqueue_one().payload
