"""Finished jobs are deleted at the cost of those that go, and not of those that are kept."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs import lifecycle
from jobs.stats import rollup
from jobs.sweep import retention
from tests.cast import enqueue_one
from tests.jobs.sweep.test_retention import keep
from tests.jobs.test_plans import explain
from tests.lasting import check_and_analyze
from tests.lasting import lasting_rows as lasting_rows  # the fixture

pytestmark = pytest.mark.django_db

#: 20 000 jobs of a kind that keeps them for long, and 3 000 of one that does not, 500 of them old.
FILL = """
    INSERT INTO jobs_job (kind_id, payload, status, attempt, finished_at, claimed_at)
    SELECT CASE WHEN n > 20000 THEN 'divide' ELSE 'sum' END, '{}', 'succeeded', 1,
           now() - CASE WHEN n > 22500 THEN interval '8 days' WHEN n > 20000 THEN interval '1 day'
                        ELSE n * interval '1 minute' END, now()
    FROM generate_series(1, 23000) AS n
"""


@pytest.fixture(scope="module")
def history(lasting_rows: None) -> None:
    """Filled once: each test is undone by itself, and this after the last one."""
    rollup.add_closed_minutes()
    with connection.cursor() as cursor:
        cursor.execute("REINDEX TABLE jobs_job")
    enqueue_one()
    enqueue_one("divide")
    keep("sum", days=3000)
    keep("divide", days=7)
    with connection.cursor() as cursor:
        cursor.execute(FILL)
        cursor.execute("ANALYZE jobs_job")
    check_and_analyze()


_READ = """
    SELECT relname, pg_stat_get_xact_tuples_returned(oid), pg_stat_get_xact_numscans(oid)
    FROM pg_class LEFT JOIN pg_index ON indexrelid = oid
    WHERE 'jobs_job'::regclass IN (oid, indrelid)
"""


def read() -> dict[str, tuple[int, int]]:
    with connection.cursor() as cursor:
        cursor.execute(_READ)
        return {name: (entries, scans) for name, entries, scans in cursor.fetchall()}


def test_it_reads_what_goes_and_not_what_is_kept(history: None) -> None:
    before = read()
    assert retention.prune(100) == 100
    after = read()
    # No scan of the table; of the index what goes, and for each kind a look or two.
    assert after["jobs_job"][1] == before["jobs_job"][1]
    assert 100 <= after["job_finished_of_kind"][0] - before["job_finished_of_kind"][0] <= 120
    assert after["job_at_rest"] == before["job_at_rest"]


def test_a_sweep_with_nothing_to_prune_looks_once_at_each_kind(history: None) -> None:
    keep("divide", days=3000)
    before = read()
    assert retention.prune() == 0
    after = read()
    assert after["jobs_job"][1] == before["jobs_job"][1]
    assert after["job_finished_of_kind"][0] - before["job_finished_of_kind"][0] <= 4


@pytest.mark.parametrize("stale", [False, True])
def test_it_uses_indexes_whatever_the_statistics_say(history: None, stale: bool) -> None:
    if stale:
        # As if they were of before there were any.
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM pg_statistic WHERE starelid = 'jobs_job'::regclass")
    with CaptureQueriesContext(connection) as queries:
        retention.prune(100)
    asked = [query["sql"] for query in queries if "jobs_job" in query["sql"]]
    assert len(asked) == 3
    for sql in asked:
        said = explain(sql)
        assert "Seq Scan on jobs_job " not in said, said
        assert "job_finished_of_kind" in said or "jobs_job_pkey" in said


def test_a_second_batch_does_not_read_again_what_the_first_deleted(
    history: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH_SIZE", 100)
    since: list[Any] = []
    verb = lifecycle.prune
    monkeypatch.setattr(lifecycle, "prune", lambda kind, **how: since.append(how["since"]) or verb(kind, **how))
    assert retention.prune() == 500
    assert since[0] is None
    assert all(since[1:])
