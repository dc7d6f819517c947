"""A bot of before instances had identities, beside ones of today under one token: what it sends is answered as then."""

import json
from typing import Any

import pytest
from django.test import Client

from bots.models import Bot
from jobs.models import Job
from jobs.states import JobStatus
from tests.cast import enqueue_one

pytestmark = pytest.mark.django_db
#: What its messages read of a job that it has claimed.
READ = {"id", "kind", "attempt", "payload", "priority", "key", "run_at", "deadline_at", "max_attempts"}


class Old:
    """One process with that client: the very requests that it sends."""

    def __init__(self, client: Client, token: str) -> None:
        self.client, self.token, self.instance = client, token, ""

    def post(self, path: str, body: dict[str, Any] | None, *, status: int = 200) -> Any:
        headers = {"authorization": f"Bearer {self.token}", "accept": "application/json"}
        if self.instance:
            headers["bot-instance"] = self.instance
        content = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        answer = self.client.post(f"/api/v1/{path}", **content, headers=headers)
        assert answer.status_code == status, answer.content
        return answer.json()

    def hello(self, instance: str) -> list[int]:
        self.instance = instance
        released: list[int] = self.post("hello", {"instance": instance, "version": "1", "alone": True})["released"]
        return released

    def claim(self, limit: int = 1) -> list[dict[str, Any]]:
        answer = self.post("claim", {"limit": limit, "kinds": ["sum"], "start": True})
        assert {name: answer[name] for name in ("paused", "restart")} == {"paused": False, "restart": False}
        jobs: list[dict[str, Any]] = answer["jobs"]
        assert all(set(job) >= READ for job in jobs)
        return jobs


class New(Old):
    """One process with today's client."""

    def hello(self, instance: str) -> list[int]:
        self.instance = f"{instance}-1"
        body = {"instance": self.instance, "identity": instance, "host": instance, "pid": 7, "kinds": ["sum"]}
        released: list[int] = self.post("hello", body | {"slots": {"all": 1, "free": 1, "lost": 0}})["released"]
        return released


@pytest.fixture
def old(client: Client, ada_token: str) -> Old:
    return Old(client, ada_token)


@pytest.fixture
def new(client: Client, ada_token: str) -> New:
    return New(client, ada_token)


def test_it_and_new_ones_leave_each_others_jobs_alone(old: Old, new: New) -> None:
    for _ in range(2):
        enqueue_one()
    assert old.hello("old-1") == []
    (mine,) = old.claim()
    assert new.hello("pod-1") == []
    (its,) = new.claim()
    # Started again, it gets back its own and nothing of the others.
    assert old.hello("old-2") == [mine["id"]]
    assert new.post("heartbeat", {"holds": [[its["id"], its["attempt"]]]})["lost"] == []
    assert [job["id"] for job in old.claim()] == [mine["id"]]


def test_its_reports_and_exchanges_are_taken_and_answered(old: Old, new: New) -> None:
    new.hello("pod-1")
    for _ in range(4):
        enqueue_one()
    old.hello("old-1")
    first, second, third = (job for job in old.claim(3))
    assert old.post("heartbeat", {"version": "1"}) | {"lost": [], "cancel": []} == {
        "paused": False, "restart": False, "lost": [], "cancel": [],
    }  # fmt: skip
    renewed = old.post(f"jobs/{first['id']}/heartbeat", {"attempt": first["attempt"], "progress": 5, "note": "begun"})
    assert (renewed["cancel"], renewed["restart"]) == (False, False)
    assert renewed["deadline_at"] > first["deadline_at"]
    answer = old.post(
        "exchange",
        {
            "completed": [{"id": first["id"], "attempt": first["attempt"], "result": 3}],
            "failed": [{"id": second["id"], "attempt": second["attempt"], "error": "it broke", "retry": False}],
            "heartbeats": [{"id": third["id"], "attempt": 9}],
            "claim": {"limit": 1, "kinds": ["sum"], "start": True},
        },
    )
    assert sorted(answer["accepted"]) == sorted([first["id"], second["id"]])
    (rejected,) = answer["rejected"]
    assert (rejected["id"], rejected["attempt"], rejected["code"]) == (third["id"], 9, "lease_lost")
    assert (len(answer["jobs"]), answer["cancel"], answer["paused"], answer["restart"]) == (1, [], False, False)
    # At its end it hands back job by job: it knows of no goodbye.
    for job in (third, *answer["jobs"]):
        old.post(f"jobs/{job['id']}/release", {"attempt": job["attempt"]})
    statuses = Job.objects.order_by("pk").values_list("status", flat=True)
    assert list(statuses) == [JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.PENDING, JobStatus.PENDING]


def test_a_newer_one_of_its_kind_takes_its_place_as_before(old: Old, client: Client, ada_token: str) -> None:
    enqueue_one()
    old.hello("old-1")
    (job,) = old.claim()
    assert Old(client, ada_token).hello("old-2") == [job["id"]]
    assert old.post("claim", {"limit": 1}, status=409)["code"] == "instance_replaced"
    refused = old.post(f"jobs/{job['id']}/complete", {"attempt": job["attempt"]}, status=409)
    assert refused["code"] == "lease_lost"


def test_a_restart_of_all_reaches_it_at_its_next_call_and_its_hello_ends_it(
    old: Old, client: Client, ada: Bot, olga_key: str
) -> None:
    old.hello("old-1")
    headers = {"authorization": f"Bearer {olga_key}"}
    assert client.post(f"/api/v1/bots/{ada.pk}/restart", headers=headers).status_code == 200
    assert old.post("claim", {"limit": 1, "kinds": ["sum"], "start": True})["restart"] is True
    assert old.post("heartbeat", {})["restart"] is True
    old.hello("old-2")
    assert old.post("heartbeat", {})["restart"] is False
