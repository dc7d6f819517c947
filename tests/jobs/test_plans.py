"""The hot questions are answered from partial indexes over live rows, however much history there is."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from bots.models import Bot
from jobs import lifecycle
from jobs.lifecycle import Wanted
from jobs.models import Job
from jobs.sql import statement
from tests.cast import enqueue_one, take_one

pytestmark = pytest.mark.django_db

#: 20 000 finished jobs, 2 000 pending and 200 held, so that PostgreSQL chooses as it would in a real house.
FILL = """
    INSERT INTO jobs_job (kind_id, payload, status, attempt, finished_at, claimed_by_id, claimed_at, started_at,
                          heartbeat_at, deadline_at, run_at)
    SELECT 'sum', '{}', status, 1,
           CASE WHEN status = 'succeeded' THEN now() END,
           CASE WHEN status = 'processing' THEN %(bot)s::bigint END,
           CASE WHEN status <> 'pending' THEN now() END,
           CASE WHEN status <> 'pending' THEN now() END,
           CASE WHEN status <> 'pending' THEN now() END,
           CASE WHEN status = 'processing' THEN now() + n * interval '1 second' END,
           now() - n * interval '1 second'
    FROM (SELECT n, CASE WHEN n <= 20000 THEN 'succeeded' WHEN n <= 22000 THEN 'pending' ELSE 'processing' END AS status
          FROM generate_series(1, 22200) AS n) AS rows
"""


@pytest.fixture
def history(ada: Bot) -> Bot:
    enqueue_one()
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"bot": ada.pk})
        cursor.execute("ANALYZE jobs_job")
    return ada


def plan(name: str, **params: Any) -> str:
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + statement(name), params)
        return "\n".join(row[0] for row in cursor.fetchall())


_READ = """
    SELECT relname, pg_stat_get_xact_numscans(oid), pg_stat_get_xact_tuples_returned(oid)
    FROM pg_class LEFT JOIN pg_index ON indexrelid = oid
    WHERE 'jobs_job'::regclass IN (oid, indrelid)
"""


def read_by_a_turn(bot: Bot, **turn: Any) -> dict[str, tuple[int, int]]:
    """What a turn's statements read of the jobs, as PostgreSQL counts it: scans and entries of each index used.

    The statements are inside a function, where EXPLAIN does not look. Under `jobs_job` are scans of the whole table.
    """
    digest = bytes(bot.token_digest or b"")
    before = _counted()
    assert lifecycle.exchange_plainly(digest, **turn) is not None
    after = _counted()
    used = {name: (after[name][0] - before[name][0], after[name][1] - before[name][1]) for name in after}
    return {name: counts for name, counts in used.items() if counts != (0, 0)}


def _counted() -> dict[str, tuple[int, int]]:
    with connection.cursor() as cursor:
        cursor.execute(_READ)
        return {name: (scans, entries) for name, scans, entries in cursor.fetchall()}


@pytest.mark.parametrize(
    ("kinds", "index"),
    [(None, "job_pending"), (["sum"], "job_pending_by_kind"), (["divide", "sum"], "job_pending_by_kind")],
)
def test_a_claim_reads_hardly_more_entries_of_its_index_than_it_takes_jobs(
    history: Bot, kinds: list[str] | None, index: str
) -> None:
    read = read_by_a_turn(history, ask=Wanted(5, kinds))
    assert "jobs_job" not in read
    # Each of the five, and a step or two for each priority; 2 000 are pending.
    assert 5 <= read[index][1] <= 40


def test_jobs_that_are_due_later_are_not_read(history: Bot) -> None:
    for n in range(200):
        enqueue_one(priority=9, run_at=datetime.now(UTC) + timedelta(hours=1 + n))
    read = read_by_a_turn(history, ask=Wanted(5))
    assert read["job_pending"][1] <= 40


def test_a_report_reads_its_job_by_its_key(history: Bot) -> None:
    lease = take_one(history)
    done = json.dumps([{"id": lease.id, "attempt": lease.attempt, "result": 1}])
    read = read_by_a_turn(history, ask=None, done=done)
    assert "jobs_job" not in read
    assert read["jobs_job_pkey"][1] <= 3
    assert read.get("job_held_by", (0, 0))[1] <= 250


def test_what_is_due_is_read_from_the_index_of_deadlines(history: Bot) -> None:
    said = Job.objects.due().order_by("deadline_at").explain()
    assert "job_deadline" in said
    assert "Seq Scan on jobs_job " not in said


def test_what_a_bot_holds_is_read_from_the_index_of_held_jobs(history: Bot) -> None:
    said = Job.objects.held_by(history).explain()
    assert "job_held_by" in said or "job_deadline" in said
    assert "Seq Scan on jobs_job " not in said


@pytest.mark.parametrize("name", ["complete", "heartbeat", "start"])
def test_a_report_finds_its_jobs_by_their_keys(history: Bot, name: str) -> None:
    rows = json.dumps([{"id": 1, "attempt": 1}])
    said = plan(name, rows=rows, bot=history.pk, run_within=timedelta(minutes=10))
    assert "Seq Scan on jobs_job " not in said
