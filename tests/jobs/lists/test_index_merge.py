"""Jobs of some statuses and kinds are read in the order of their ids, in one statement for any number of kinds."""

import re
from itertools import product

import pytest
from django.db import connection
from django.db.models import Q
from django.test.utils import CaptureQueriesContext

from bots.models import Bot
from jobs.lists import index_merge
from jobs.models import Job, JobKind
from jobs.states import FINISHED, JobStatus

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("ada")]

JOBS = """
    INSERT INTO jobs_job (id, kind_id, payload, status, attempt, claimed_by_id, claimed_at, deadline_at, finished_at)
    SELECT 10 * n + n % 7, 'kind ' || n * n % %(kinds)s, jsonb_build_object('n', n % 3), status, 1,
           CASE WHEN status = 'processing' THEN %(bot)s::bigint END, now(),
           CASE WHEN status = 'processing' THEN now() END,
           CASE WHEN status IN ('succeeded', 'failed', 'cancelled') THEN now() END
    FROM generate_series(1, %(jobs)s) AS n CROSS JOIN LATERAL (
        SELECT CASE WHEN n % 29 = 0 THEN 'processing' WHEN n > %(jobs)s - 40 THEN 'pending'
                    WHEN n % 13 = 0 THEN 'failed' WHEN n % 211 = 0 THEN 'cancelled' ELSE 'succeeded' END AS status) AS s
"""


def fill(kinds: int, jobs: int) -> None:
    """Many jobs of many kinds: most have succeeded, few have failed, the newest are pending, and some are held."""
    JobKind.objects.bulk_create([JobKind(name=f"kind {n}") for n in range(kinds)])
    with connection.cursor() as cursor:
        text = JOBS.replace(" % ", " %% ")
        cursor.execute(text, {"kinds": kinds, "jobs": jobs, "bot": Bot.objects.get(name="ada").pk})
        cursor.execute("ANALYZE jobs_job, jobs_jobkind")


STATUSES = [["failed"], ["pending"], ["cancelled"], ["processing"], ["succeeded", "failed"], list(FINISHED),
            ["pending", "processing"], list(JobStatus.values)]  # fmt: skip
KINDS = [[], ["kind 4"], ["kind 1", "kind 4", "kind 9", "no such kind"]]


@pytest.mark.parametrize("newest", [True, False])
def test_they_are_those_that_the_table_has(newest: bool) -> None:
    fill(23, 1200)
    bounds = [{}, {"after": 4000}, {"before": 7001}, {"after": 3990, "before": 4400}, {"after": 90_000}]
    for statuses, kinds, between, most in product(STATUSES, KINDS, bounds, (1, 7, 500)):
        expected = Job.objects.filter(status__in=statuses)
        expected = expected.filter(kind__in=kinds) if kinds else expected
        expected = expected.filter(pk__gt=between.get("after", 0), pk__lt=between.get("before", 10**9))
        expected = expected.order_by("-id" if newest else "id").values_list("id", flat=True)[:most]
        selection = index_merge.select(statuses=statuses, kinds=kinds).between(**between)
        assert index_merge.ids(selection, most, newest=newest) == list(expected), (statuses, kinds, between, most)


def test_a_further_condition_is_met_by_each_of_them() -> None:
    fill(23, 600)
    condition = Q(payload__contains={"n": 2}) & ~Q(error__contains="100 % of it")
    selection = index_merge.select(statuses=["succeeded", "processing"]).where(condition)
    expected = Job.objects.filter(condition, status__in=["succeeded", "processing"]).order_by("-id")
    assert index_merge.ids(selection, 40) == [job.pk for job in expected[:40]]
    assert index_merge.ids_and_kinds(selection, 40) == [(job.pk, job.kind_id) for job in expected[:40]]
    assert index_merge.nth(selection, 40) == expected[39].pk
    assert index_merge.nth(selection, 4000) is None


def test_a_job_that_is_claimed_meanwhile_is_in_one_status() -> None:
    fill(3, 60)
    for statuses in (["pending", "processing"], list(JobStatus.values)):
        with CaptureQueriesContext(connection) as queries:
            assert index_merge.ids(index_merge.select(statuses=statuses, kinds=["kind 1"]), 10)
        # Each statement sees the table at a moment of its own.
        assert len(queries) == 1


def test_there_may_be_none() -> None:
    assert index_merge.ids(index_merge.select(statuses=["failed"]), 10) == []
    fill(3, 30)
    assert index_merge.ids(index_merge.select(statuses=["cancelled"]), 10) == []
    assert index_merge.ids(index_merge.select(statuses=[]), 10) == []


def test_ids_may_be_as_far_apart_as_after_a_restore() -> None:
    fill(3, 30)
    first = Job.objects.filter(status="pending").earliest("id")
    Job.objects.filter(pk=first.pk).update(id=2**62)
    selection = index_merge.select(statuses=["pending"])
    expected = list(Job.objects.filter(status="pending").order_by("-id").values_list("id", flat=True))
    assert expected[0] == 2**62
    assert index_merge.ids(selection, 100) == expected
    assert index_merge.ids(selection, 100, newest=False) == expected[::-1]


def asked(kinds: int) -> str:
    """The one statement that lists failed jobs, among so many kinds."""
    fill(kinds, 4000)
    with CaptureQueriesContext(connection) as queries:
        assert len(index_merge.ids(index_merge.select(statuses=["failed", "cancelled"]), 51)) == 51
    (query,) = queries
    return query["sql"]


def test_the_statement_is_the_same_for_any_number_of_kinds() -> None:
    few = asked(3)
    Job.objects.all().delete()
    JobKind.objects.all().delete()
    assert asked(1000) == few
    assert len(few) < 4000


def test_its_plan_is_cheap_and_reads_no_further_than_it_must() -> None:
    sql = asked(1000)
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, TIMING OFF) " + sql)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "Seq Scan on jobs_job " not in plan
    assert plan.count("Index Only Scan Backward using job_at_rest") == 2
    assert "JIT:" not in plan
    cost = re.search(r"Limit  \(cost=[\d.]+\.\.([\d.]+)", plan)
    assert cost is not None and float(cost[1]) < 100_000
    # All of its 40 000 ids would be nine stretches.
    stretches = re.search(r"CTE Scan on stretch  .*actual rows=(\d+)", plan)
    assert stretches is not None and int(stretches[1].split(".")[0]) < 8
