"""The hot questions are answered from partial indexes over live rows, however much history there is."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from bots.models import Bot
from jobs.models import Job
from jobs.sql import statement
from tests.cast import enqueue_one

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


def test_a_claim_reads_the_index_of_pending_jobs_in_its_order_and_sorts_nothing(history: Bot) -> None:
    said = plan("claim", bot=history.pk, limit=1, kinds=None, start=True, instance="", run_within=timedelta(minutes=10))
    assert "Index Scan using job_pending on" in said
    assert "Seq Scan on jobs_job " not in said
    assert "Sort" not in said


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
