"""What asks for keys reads their indexes, whatever else there is."""

from typing import Any

import pytest
from django.db import connection

from jobs import uniqueness
from jobs.enqueue.statements import SQL as ENQUEUE
from jobs.lifecycle.statements import SQL as LIFECYCLE
from jobs.models import Job, JobKind

pytestmark = pytest.mark.django_db

FILL = """
    INSERT INTO jobs_job (kind_id, payload, key, unique_mode, status, attempt, finished_at)
    SELECT 'sum', '{}', 'key ' || n, CASE n % 3 WHEN 0 THEN 'always' WHEN 1 THEN 'unfinished' ELSE 'pending' END,
           CASE WHEN n % 2 = 0 THEN 'pending' ELSE 'failed' END, n % 2, CASE WHEN n % 2 = 1 THEN now() END
    FROM generate_series(1, 5000) AS n;
    ANALYZE jobs_job
"""


@pytest.fixture(autouse=True)
def many_keys() -> None:
    JobKind.objects.create(name="sum")
    with connection.cursor() as cursor:
        cursor.execute(FILL)


def plan(query: str, params: dict[str, Any]) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {query}", params)
        return "\n".join(row[0] for row in cursor.fetchall())


def test_who_has_a_key_is_found_by_the_unique_index() -> None:
    text = plan(ENQUEUE.text("holders"), {"kinds": ["sum"] * 3, "keys": ["key 1", "key 2", "x"]})
    assert "job_key_once_per_kind" in text
    assert "Seq Scan" not in text


def test_a_retry_finds_who_has_the_key_by_the_unique_index() -> None:
    params = {"ids": [1, 2], "from": ["failed"], "actor": "operator", "by": "olga", "reason": "", "audit": None}
    text = plan(LIFECYCLE.text("retry"), params)
    assert "job_key_once_per_kind" in text


def test_a_newer_job_with_the_same_key_is_found_by_the_index_of_keys_that_were_let_go() -> None:
    failed = Job.objects.filter(status="failed")
    found = failed.filter(uniqueness.is_behind(failed), pk__in=[1, 2, 3])
    assert "job_key_let_go" in found.explain()


def test_all_jobs_of_a_key_are_found_by_both() -> None:
    text = Job.objects.with_keys(["sum"], ["key 7"]).explain()
    assert "job_key_once_per_kind" in text
    assert "job_key_let_go" in text


def test_a_job_with_a_key_is_in_one_of_the_two() -> None:
    assert Job.objects.filter(uniqueness.HOLDS_KEY).count() + Job.objects.filter(uniqueness.LET_KEY_GO).count() == 5000
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT array_agg(id ORDER BY id) FROM jobs_job j WHERE {uniqueness.HOLDS_KEY_SQL}")
        (ids,) = cursor.fetchone()
    assert ids == list(Job.objects.filter(uniqueness.HOLDS_KEY).order_by("id").values_list("pk", flat=True))
