"""A job becomes a row of text for `COPY`, and comes out of PostgreSQL as it went in."""

from datetime import UTC, datetime

import pytest
from django.db.models.functions import Now

from jobs.enqueue import copy, incoming, insert
from jobs.enqueue.copy import Rows
from jobs.enqueue.new_job import NewJob
from jobs.models import Job, JobKind

pytestmark = pytest.mark.django_db

NASTY = [
    "\\",
    "\\N",
    "\\.",
    "\t",
    "\n",
    "\r\n",
    "\\t\\n",
    "'\"%s",
    "é\N{SNOWMAN}\U0001f600",
    "\x01\x7f",
    "a\tb\\N\t\\N\n",
]


@pytest.mark.parametrize("key", [False, True], ids=["straight into the table", "by way of another"])
def test_every_character_comes_back(key: bool) -> None:
    payloads = [*NASTY, {text: text for text in NASTY}, None, 10**30, 1.5, [], ""]
    jobs = [
        NewJob("sum", payload, key=f"{n} {NASTY[n % len(NASTY)]}" if key else None)
        for n, payload in enumerate(payloads)
    ]
    with Rows() as new:
        for job in jobs:
            new.add(job)
        assert insert.enqueue_rows(new).created == len(jobs)
    assert [(job.payload, job.key) for job in Job.objects.order_by("id")] == [(job.payload, job.key) for job in jobs]


def test_what_a_job_does_not_say_is_filled_in_and_what_it_says_stands() -> None:
    JobKind.objects.create(name="sum", max_attempts=7)
    moment = datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)
    fields = [{}, {"run_at": moment}, {"max_attempts": 2}, {"run_at": moment, "max_attempts": 2}, {"payload": "\\N"}]
    with Rows() as new:
        for some in fields:
            new.add(NewJob(**({"kind": "sum", "payload": {}, "priority": -5} | some)))  # type: ignore[arg-type]
        insert.enqueue_rows(new)
    jobs = list(Job.objects.order_by("id"))
    assert [(job.run_at == moment, job.max_attempts) for job in jobs] == [
        (False, 7), (True, 7), (False, 2), (True, 2), (False, 7)
    ]  # fmt: skip
    assert {job.priority for job in jobs} == {-5}
    assert Job.objects.pending().filter(run_at__lte=Now()).count() == 3
    assert jobs[4].payload == "\\N"


def test_kinds_that_differ_in_their_attempts_each_give_their_own() -> None:
    JobKind.objects.create(name="sum", max_attempts=7)
    with Rows() as new:
        for kind in ("sum", "new", "sum"):
            new.add(NewJob(kind, {}))
        new.add(NewJob("sum", {}, max_attempts=1))
        insert.enqueue_rows(new)
    assert list(Job.objects.order_by("id").values_list("max_attempts", flat=True)) == [7, 3, 7, 1]


def test_many_rows_are_kept_on_disk_and_are_all_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy, "BLOCK_ROWS", 10)
    monkeypatch.setattr(copy, "MEMORY_BYTES", 100)
    monkeypatch.setattr(copy, "COPY_BLOCKS", 2)
    with Rows() as new:
        for n in range(95):
            new.add(NewJob("sum", n))
        assert len(list(new.blocks())) == 10
        done = insert.enqueue_rows(new, ids=True)
    assert [(job.pk, job.payload) for job in Job.objects.order_by("id")] == [
        (job_id, n) for n, (job_id, _) in enumerate(done.jobs or [])
    ]
    assert done.created == 95


def test_many_rows_with_keys_are_added_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "INCOMING_PAGES", 1)
    with Rows() as new:
        for n in range(600):
            new.add(NewJob("sum", {"n": n, "text": "x" * 100}, key=f"{n % 500}"))
        done = insert.enqueue_rows(new, ids=True)
    assert (done.created, done.existing) == (500, 100)
    assert [job.payload["n"] for job in Job.objects.order_by("id")] == list(range(100, 600))
    jobs = done.jobs or []
    assert [added for _, added in jobs] == ["existing"] * 100 + ["created"] * 500
    assert [job_id for job_id, _ in jobs[500:]] == [job_id for job_id, _ in jobs[:100]]
