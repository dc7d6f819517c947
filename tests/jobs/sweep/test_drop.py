"""A job that was not begun by its moment is handed to nobody, costs a claim nothing, and the sweep drops it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from bots.models import Bot
from jobs import lifecycle
from jobs.explain.why import explain
from jobs.lifecycle import By
from jobs.lifecycle.statements import SQL
from jobs.models import Job, JobEvent
from jobs.states import JobStatus
from jobs.sweep.run import sweep
from tests.cast import enqueue_one, take_one

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def too_late(**fields: Any) -> Job:
    return enqueue_one(start_by=timezone.now() - MINUTE, **fields)


def test_the_sweep_drops_it_and_says_so() -> None:
    job, other = too_late(), enqueue_one(start_by=timezone.now() + MINUTE)
    assert sweep().dropped == 1
    job.refresh_from_db()
    other.refresh_from_db()
    assert (job.status, other.status) == (JobStatus.CANCELLED, JobStatus.PENDING)
    event = JobEvent.objects.get()
    assert (event.verb, event.actor, event.by, event.from_status, event.to_status) == (
        "drop", "sweep", "sweep_stuck", "pending", "cancelled",
    )  # fmt: skip
    assert "it was to be begun by" in event.reason
    assert "The sweep dropped it" in explain(job).why


def test_a_dry_run_drops_nothing() -> None:
    too_late()
    assert sweep(dry_run=True).dropped == 1
    assert Job.objects.get().status == JobStatus.PENDING


@pytest.mark.parametrize("kinds", [None, ["sum"], ["sum", "divide"]])
def test_no_bot_gets_it(ada: Bot, kinds: list[str] | None) -> None:
    job = too_late(priority=9)
    wanted = enqueue_one(start_by=timezone.now() + MINUTE)
    plain = enqueue_one("divide" if kinds and len(kinds) > 1 else "sum")
    got = lifecycle.claim(ada, limit=5, kinds=kinds)
    assert {claimed.id for claimed in got} == {wanted.pk, plain.pk}
    assert "It was to be begun by" in explain(job).why


def test_an_attempt_that_comes_back_too_late_is_dropped_too(ada: Bot) -> None:
    lease = take_one(ada, start_by=timezone.now() + MINUTE)
    Job.objects.filter(pk=lease.id).update(start_by=timezone.now() - MINUTE)
    # What has begun goes on.
    assert lease.heartbeat().accepted == [lease.id]
    lease.fail()
    assert sweep().dropped == 1


def test_an_operators_retry_clears_it(ada: Bot, olga: Any) -> None:
    job = too_late()
    sweep()
    lifecycle.retry([job.pk], by=By.operator(olga))
    assert [claimed.id for claimed in lifecycle.claim(ada)] == [job.pk]


FILL = """
    INSERT INTO jobs_job (kind_id, payload, priority, run_at, start_by)
    SELECT 'sum', '{}', 0, now() - interval '1 day' + n * interval '1 ms',
           CASE WHEN n <= 5000 THEN now() - interval '1 hour' END
    FROM generate_series(1, 8000) AS n
"""


def query_of(after: str) -> str:
    """The query in `jobs_picked.sql` that comes after this line, for ten jobs of priority 0."""
    text = SQL.text("jobs_picked")
    start = text.index("SELECT j.id FROM jobs_job j", text.index(after))
    query = text[start : text.index("FOR NO KEY UPDATE", start)]
    values = {
        "unpaused[1]": "'sum'", "at_priority": "0", "after_at": "'-infinity'", "after_id": "0",
        "wanted_all - cardinality(picked)": "10", "known.own_ids": "'{}'::bigint[]",
    }  # fmt: skip
    for name, value in values.items():
        query = query.replace(name, value)
    return query


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


QUERIES = [query_of("i := i + 1;"), query_of("cardinality(unpaused) = 1")]


@pytest.mark.parametrize("by_kind", [False, True])
def test_a_claim_passes_over_them_in_the_index_and_reads_none(by_kind: bool) -> None:
    enqueue_one()
    with connection.cursor() as cursor:
        cursor.execute(FILL)
        cursor.execute("ANALYZE jobs_job; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        query = QUERIES[by_kind]
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}")
        ((plan,),) = cursor.fetchone()
    (node,) = [node for node in nodes(plan["Plan"]) if node.get("Relation Name") == "jobs_job"]
    assert node["Index Name"].startswith("job_pending")
    assert "start_by" in node["Index Cond"]
    assert "Rows Removed by Filter" not in node or node["Rows Removed by Filter"] == 0
    # The five thousand in front are some pages of the index, and no page of the table.
    assert node["Shared Hit Blocks"] + node["Shared Read Blocks"] < 150


def test_the_oldest_are_found_by_their_index() -> None:
    too_late()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off")
        text = SQL.text("drop")
        cursor.execute(f"EXPLAIN {text}", {"most": 10, "actor": "sweep", "by": "sweep_stuck", "audit": None})
        assert "job_start_by" in str(cursor.fetchall())
