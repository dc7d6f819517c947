"""Too many jobs are pending: new ones are refused, by every way in, and nothing is half done."""

import json
from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from bots.models import Bot
from jobs import lifecycle
from jobs.enqueue import insert, pending
from jobs.enqueue.copy import Rows
from jobs.enqueue.new_job import NewJob
from jobs.enqueue.pending import QUICK
from jobs.enqueue.statements import SQL
from jobs.errors import TooManyPending
from jobs.models import Job, JobKind, Refusal
from tests.api.calls import refused, send
from tests.cast import enqueue_one

pytestmark = pytest.mark.django_db

MOST = 3


@pytest.fixture
def small(db: None) -> JobKind:
    """A kind of which three jobs may be pending."""
    return JobKind.objects.create(name="sum", max_pending=MOST)


def a_list(n: int, *, keys: bool = False, kind: str = "sum") -> list[NewJob]:
    return [NewJob(kind, {"n": i}, key=f"{i}" if keys else None) for i in range(n)]


def by_rows(new: list[NewJob]) -> None:
    with Rows() as rows:
        for job in new:
            rows.add(job)
        insert.enqueue_rows(rows)


# --- The bound ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("enqueue", [insert.enqueue, by_rows])
@pytest.mark.parametrize("keys", [False, True])
def test_as_many_as_the_bound_are_taken_and_not_one_more(small: JobKind, enqueue: Any, keys: bool) -> None:
    enqueue(a_list(MOST, keys=keys))
    with pytest.raises(TooManyPending) as raised:
        enqueue([NewJob("sum", {}, key="another")])
    assert raised.value.extra == {"kind": "sum", "pending": MOST, "new": 1, "max_pending": MOST}
    assert raised.value.detail == (
        "3 sum jobs are pending, and 1 more would pass the limit of 3 (its `max_pending`). "
        "Nothing was enqueued; try again later."
    )
    assert Job.objects.count() == MOST


@pytest.mark.parametrize("enqueue", [insert.enqueue, by_rows])
@pytest.mark.parametrize("keys", [False, True])
def test_a_list_that_does_not_fit_is_refused_whole(small: JobKind, enqueue: Any, keys: bool) -> None:
    with pytest.raises(TooManyPending):
        enqueue([*a_list(1, kind="divide"), *a_list(MOST + 1, keys=keys)])
    assert not Job.objects.exists()
    assert not JobKind.objects.filter(name="divide").exists()


def test_a_job_that_a_bot_has_taken_makes_room(small: JobKind, ada: Bot) -> None:
    insert.enqueue(a_list(MOST))
    lifecycle.claim(ada)
    insert.enqueue(a_list(1))
    with pytest.raises(TooManyPending):
        insert.enqueue(a_list(1))


def test_other_kinds_have_room(small: JobKind) -> None:
    insert.enqueue(a_list(MOST))
    insert.enqueue(a_list(100, kind="divide"))


@pytest.mark.parametrize("enqueue", [insert.enqueue, by_rows])
def test_a_key_that_exists_adds_nothing_and_is_answered(small: JobKind, enqueue: Any) -> None:
    enqueue(a_list(MOST, keys=True))
    enqueue(a_list(MOST, keys=True))
    enqueue([*a_list(MOST, keys=True)] * 2)
    assert Job.objects.count() == MOST
    with pytest.raises(TooManyPending) as raised:
        enqueue([*a_list(MOST + 2, keys=True), NewJob("sum", {})])
    assert raised.value.extra["new"] == 3


def test_the_installation_has_a_bound_for_all_kinds_together(settings: Any, db: None) -> None:
    settings.MAX_PENDING = MOST
    insert.enqueue([*a_list(1), *a_list(2, kind="divide")])
    with pytest.raises(TooManyPending, match=r"^3 jobs of all kinds are pending, and 1 more .* \(`MAX_PENDING`\)"):
        insert.enqueue(a_list(1, kind="third"))
    assert not JobKind.objects.filter(name="third").exists()
    settings.MAX_PENDING = 0
    insert.enqueue(a_list(1, kind="third"))


def test_the_database_refuses_a_bound_below_one(small: JobKind) -> None:
    with pytest.raises(IntegrityError, match="jobkind_max_pending_positive"), transaction.atomic():
        JobKind.objects.update(max_pending=0)


# --- Every way in ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/jobs", {"kind": "sum"}),
        ("/jobs/bulk", {"jobs": [{"kind": "sum"}, {"kind": "sum"}]}),
        ("/jobs/bulk", b'{"kind": "sum"}\n{"kind": "sum"}\n'),
    ],
)
def test_the_api_answers_429_with_the_figures(
    small: JobKind, client: Client, olga_key: str, path: str, body: Any
) -> None:
    insert.enqueue(a_list(MOST))
    if isinstance(body, bytes):
        headers = {"Authorization": f"Bearer {olga_key}"}
        answer = client.post(f"/api/v1{path}", body, content_type="application/x-ndjson", headers=headers)
    else:
        answer = send(client, olga_key, "POST", path, body)
    problem = refused(answer, 429, "too_many_pending")
    assert answer["Retry-After"] == "10"
    assert (problem["kind"], problem["pending"], problem["max_pending"]) == ("sum", MOST, MOST)
    assert Job.objects.count() == MOST


def test_a_key_that_exists_is_answered_200_while_there_is_no_room(
    small: JobKind, client: Client, olga_key: str
) -> None:
    insert.enqueue(a_list(MOST, keys=True))
    answer = send(client, olga_key, "POST", "/jobs", {"kind": "sum", "key": "0"})
    assert (answer.status_code, answer.json()["key"]) == (200, "0")


@pytest.mark.parametrize("options", [{}, {"dry_run": True}])
@pytest.mark.parametrize("key", ["", ', "key": "{n}"'])
def test_the_command_loads_nothing(small: JobKind, tmp_path: Path, options: dict[str, Any], key: str) -> None:
    path = tmp_path / "jobs.ndjson"
    path.write_text("".join(f'{{"kind": "sum"{key.replace("{n}", str(n))}}}\n' for n in range(MOST + 1)))
    with pytest.raises(CommandError, match=r"4 more would pass the limit of 3 .* Nothing was enqueued"):
        call_command("enqueue", str(path), stdout=StringIO(), stderr=StringIO(), **options)
    assert not Job.objects.exists()


def test_the_command_adds_what_fits_exactly(small: JobKind, tmp_path: Path) -> None:
    path = tmp_path / "jobs.ndjson"
    path.write_text('{"kind": "sum"}\n' * MOST)
    call_command("enqueue", str(path), stdout=StringIO(), stderr=StringIO())
    with pytest.raises(TooManyPending):
        enqueue_one()


def test_the_form_of_a_new_job_keeps_what_was_filled_in(small: JobKind, client: Client, olga: Any) -> None:
    insert.enqueue(a_list(MOST))
    client.force_login(olga)
    filled = {"kind": "sum", "payload": '{"text": "a long one"}', "priority": "0"}
    page = client.post(reverse("admin:jobs_job_add"), filled)
    assert (page.status_code, Job.objects.count()) == (200, MOST)
    assert "3 sum jobs are pending, and 1 more" in page.content.decode()
    assert "a long one" in page.content.decode()


def test_a_file_in_the_console_is_loaded_whole_or_not_at_all(
    small: JobKind, client: Client, olga: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.admin.upload.BATCH_SIZE", 2)
    client.force_login(olga)
    lines = '{"kind": "sum"}\n' * (MOST + 1)
    file = SimpleUploadedFile("jobs.ndjson", lines.encode())
    checked = client.post(reverse("admin:jobs_job_upload"), {"file": file})
    filled = {"content": checked.context["content"], "format": "ndjson", "load": "1"}
    page = client.post(reverse("admin:jobs_job_upload"), filled)
    assert "Nothing was enqueued; try again later." in page.content.decode()
    assert not Job.objects.exists()


# --- Who is refused -------------------------------------------------------------------------------------------


def test_who_was_refused_is_recorded_and_not_at_each_call(small: JobKind, client: Client, olga_key: str) -> None:
    insert.enqueue(a_list(MOST))
    for _ in range(5):
        send(client, olga_key, "POST", "/jobs", {"kind": "sum"})
    (row,) = Refusal.objects.all()
    assert (row.kind, row.by, row.calls) == ("sum", "olga", 1)
    assert row.key.startswith("jsk_") and olga_key not in row.key


# --- The cost -------------------------------------------------------------------------------------------------


class Counting(pending.Figures):
    """Figures that note each count, and take the given time for it."""

    def __init__(self, clock: list[float], took: float, n: int) -> None:
        super().__init__()
        self.clock, self.took, self.n, self.counts = clock, took, n, 0

    def _count(self, name: str, most: int) -> int:
        self.counts += 1
        self.clock[0] += self.took
        return min(self.n, most)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The moment that the figures are told. What counts as quick is not as in other tests."""
    now = [1000.0]
    monkeypatch.setattr(pending, "monotonic", lambda: now[0])
    monkeypatch.setattr(pending, "QUICK", QUICK)
    return now


def test_a_count_that_takes_long_is_made_seldom(clock: list[float]) -> None:
    figures = Counting(clock, took=0.1, n=900_000)
    for _ in range(1000):
        figures.admit({"sum": 1_000_000}, Counter(sum=1))
        clock[0] += 0.009
    assert figures.counts == 1
    clock[0] += 1.1
    figures.admit({"sum": 1_000_000}, Counter(sum=1))
    assert figures.counts == 2


def test_a_full_queue_is_counted_a_little_more_often(clock: list[float]) -> None:
    figures = Counting(clock, took=0.1, n=1_000_000)
    for _ in range(100):
        with pytest.raises(TooManyPending):
            figures.admit({"sum": 1_000_000}, Counter(sum=1))
        clock[0] += 0.01
    assert figures.counts == 2


def test_a_quick_count_is_made_before_every_refusal(clock: list[float]) -> None:
    figures = Counting(clock, took=0.001, n=3)
    with pytest.raises(TooManyPending):
        figures.admit({"sum": 3}, Counter(sum=1))
    figures.n = 2
    figures.admit({"sum": 3}, Counter(sum=1))


@pytest.mark.parametrize(
    ("statement", "params", "index"),
    [("pending_of_kind", {"kind": "kind-1"}, "job_pending_by_kind"), ("pending_of_all", {}, "job_pending")],
)
def test_jobs_are_counted_in_the_index_of_pending_ones(
    db: None, statement: str, params: dict[str, Any], index: str
) -> None:
    insert.enqueue([NewJob(f"kind-{n % 50}", {}) for n in range(1000)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE jobs_job")
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off")
        cursor.execute(f"EXPLAIN (FORMAT JSON) {SQL.text(statement)}", params | {"most": 1000})
        plan = json.dumps(cursor.fetchone()[0])
    assert f'"Index Name": "{index}"' in plan
    assert '"Node Type": "Sort"' not in plan
