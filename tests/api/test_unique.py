"""Producers say how long a job keeps its key, and hear what became of each."""

import json
from typing import Any

import pytest
from django.test import Client

from bots.models import Bot
from jobs.models import Job, JobEvent
from tests.api.calls import refused, send
from tests.cast import enqueue_one, take_one

pytestmark = pytest.mark.django_db

PENDING = {"kind": "sum", "key": "k", "unique": "pending"}


def test_one_job_is_answered_with_its_outcome(client: Client, olga_key: str, ada: Bot) -> None:
    answers = []
    for more in ({"payload": 1}, {"payload": 2}, {"payload": 3, "on_conflict": "replace"}):
        answer = send(client, olga_key, "POST", "/jobs", PENDING | more)
        answers.append((answer.status_code, answer.json()["outcome"], answer.json()["payload"]))
    assert answers == [(201, "created", 1), (200, "existing", 1), (200, "replaced", 3)]
    assert answer.json()["unique"] == "pending"
    event = JobEvent.objects.get()
    assert (event.verb, event.by, event.audit_id) == ("replace", "olga", None)


def test_each_job_of_a_bulk_has_its_outcome(client: Client, olga_key: str) -> None:
    old = enqueue_one(key="old")
    body = {"jobs": [PENDING, {"kind": "sum", "key": "old"}, PENDING, {"kind": "sum"}]}
    answer = send(client, olga_key, "POST", "/jobs/bulk", body).json()
    assert answer["outcomes"] == ["existing", "existing", "created", "created"]
    assert (answer["created"], answer["existing"], answer["replaced"]) == (2, 2, 0)
    assert answer["ids"][1] == old.pk
    assert answer["ids"][0] == answer["ids"][2]
    body = {"jobs": [PENDING | {"on_conflict": "replace", "payload": "new"}]}
    answer = send(client, olga_key, "POST", "/jobs/bulk", body).json()
    assert (answer["outcomes"], answer["replaced"]) == (["replaced"], 1)


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_a_stream_has_it_too(client: Client, olga_key: str, form: str) -> None:
    enqueue_one(payload="old", key="k", unique="pending")
    job = PENDING | {"on_conflict": "replace", "payload": "new"}
    if form == "ndjson":
        text, kind = f"{json.dumps(job)}\n{json.dumps({'kind': 'sum'})}\n", "application/x-ndjson"
    else:
        text, kind = 'kind,key,unique,on_conflict,payload\nsum,k,pending,replace,"""new"""\nsum,,,,\n', "text/csv"
    headers = {"Authorization": f"Bearer {olga_key}"}
    answer = client.generic("POST", "/api/v1/jobs/bulk", text.encode(), content_type=kind, headers=headers)
    assert answer.status_code == 201, answer.content
    assert (answer.json()["outcomes"], answer.json()["replaced"]) == (["replaced", "created"], 1)
    assert JobEvent.objects.get().by == "olga"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"key": None}, "unique"),
        ({"unique": "once"}, "unique"),
        ({"on_conflict": "take"}, "on_conflict"),
        ({"unique": "always", "on_conflict": "replace"}, "on_conflict"),
        ({"unique": "unfinished", "on_conflict": "replace"}, "on_conflict"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(client: Client, olga_key: str, fields: Any, field: str) -> None:
    problem = refused(send(client, olga_key, "POST", "/jobs", PENDING | fields), 422, "invalid")
    assert field in problem["errors"][0]["field"]
    assert not Job.objects.exists()


def test_a_retry_where_the_key_is_taken_is_a_conflict(client: Client, olga_key: str, ada: Bot) -> None:
    lease = take_one(ada, key="k", unique="unfinished")
    lease.fail(retry=False)
    enqueue_one(key="k", unique="unfinished")
    problem = refused(send(client, olga_key, "POST", f"/jobs/{lease.id}/retry", {}), 409, "key_taken")
    assert problem["job_id"] == lease.id
    refused(send(client, olga_key, "POST", f"/jobs/{enqueue_one().pk}/retry", {}), 400, "not_retryable")


def test_all_jobs_of_a_key_are_found_page_by_page(client: Client, olga_key: str, ada: Bot) -> None:
    ids = []
    for _ in range(3):
        lease = take_one(ada, key="k", unique="unfinished")
        lease.complete()
        ids.append(lease.id)
    ids.append(enqueue_one(key="k", unique="unfinished").pk)
    first = send(client, olga_key, "GET", "/jobs?kind=sum&key=k&limit=3").json()
    rest = send(client, olga_key, "GET", f"/jobs?kind=sum&key=k&limit=3&cursor={first['next_cursor']}").json()
    assert [job["id"] for job in first["jobs"] + rest["jobs"]] == ids[::-1]
    assert rest["next_cursor"] is None
    done = send(client, olga_key, "GET", "/jobs?kind=sum&key=k&status=succeeded").json()
    assert [job["id"] for job in done["jobs"]] == ids[2::-1]


def test_the_explanation_says_who_has_the_key(client: Client, olga_key: str, ada: Bot) -> None:
    lease = take_one(ada, key="k", unique="unfinished")
    lease.complete()
    holder = enqueue_one(key="k", unique="unfinished")
    found = send(client, olga_key, "GET", f"/jobs/{lease.id}/explain").json()
    (says,) = [one["says"] for one in found["evidence"] if one["about"] == "key"]
    assert says == f"k, which it keeps until it has ended; job {holder.pk} has it now"
