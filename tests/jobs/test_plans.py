"""The hot questions are answered from partial indexes over live rows, however much history there is."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from bots.models import Bot
from jobs import lifecycle, transitions
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.lifecycle import ClaimRequest
from jobs.lifecycle.statements import SQL
from jobs.models import Job
from jobs.states import Verb
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


def fill(bot: Bot) -> None:
    """Fill the table of jobs; the bot holds those that are held."""
    with connection.cursor() as cursor:
        # Entries of what earlier tests rolled back would be counted, too.
        cursor.execute("REINDEX TABLE jobs_job")
    enqueue_one()
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"bot": bot.pk})
        cursor.execute("ANALYZE jobs_job")


@pytest.fixture
def history(ada: Bot) -> Bot:
    fill(ada)
    return ada


def explain(sql: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + sql)
        return "\n".join(row[0] for row in cursor.fetchall())


def plan(name: str, **params: Any) -> str:
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + SQL.text(name), params)
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
    ask = turn.pop("ask", None)
    request = lifecycle.turn_request(digest, ask, {verb: json.dumps(rows) for verb, rows in turn.items()})
    before = _counted()
    assert lifecycle.take_turn(request).refused is None
    after = _counted()
    used = {name: (after[name][0] - before[name][0], after[name][1] - before[name][1]) for name in after}
    return {name: counts for name, counts in used.items() if counts != (0, 0)}


def _counted() -> dict[str, tuple[int, int]]:
    with connection.cursor() as cursor:
        cursor.execute(_READ)
        return {name: (scans, entries) for name, scans, entries in cursor.fetchall()}


@pytest.mark.parametrize("kinds", [None, ["sum"], ["divide", "sum"]], ids=str)
def test_a_claim_reads_hardly_more_entries_than_it_takes_jobs(history: Bot, kinds: list[str] | None) -> None:
    read = read_by_a_turn(history, ask=ClaimRequest(5, kinds))
    assert "jobs_job" not in read
    # Which index it is, is PostgreSQL's choice; 2 000 are pending, 200 held and 20 000 finished.
    assert 5 <= sum(entries for _, entries in read.values()) <= 100


def test_jobs_that_are_due_later_are_not_read(history: Bot) -> None:
    for n in range(200):
        enqueue_one(priority=9, run_at=datetime.now(UTC) + timedelta(hours=1 + n))
    read = read_by_a_turn(history, ask=ClaimRequest(5))
    assert read["job_pending"][1] <= 60


@pytest.mark.parametrize("kinds", [None, ["sum"], ["divide", "sum"]], ids=str)
def test_who_claims_other_jobs_does_not_read_those_of_groups(history: Bot, kinds: list[str] | None) -> None:
    insert.enqueue([NewJob("grouped", {}, priority=9, group="full")] * 300)
    read = read_by_a_turn(history, ask=ClaimRequest(5, kinds))
    assert not {"job_gated", "job_gated_by_kind", "jobs_job"} & read.keys()
    assert 5 <= sum(entries for _, entries in read.values()) <= 100


def test_a_report_reads_its_job_by_its_key(history: Bot) -> None:
    lease = take_one(history)
    read = read_by_a_turn(history, complete=[{"id": lease.id, "attempt": lease.attempt, "result": 1}])
    assert "jobs_job" not in read
    assert read["jobs_job_pkey"][1] <= 3
    assert read.get("job_held_by", (0, 0))[1] <= 250


def test_a_failure_reads_its_job_by_its_key(history: Bot) -> None:
    lease = take_one(history)
    read = read_by_a_turn(history, fail=[{"id": lease.id, "attempt": lease.attempt, "error": "x", "retry": True}])
    assert lease.job.status == "pending"
    assert "jobs_job" not in read
    assert read["jobs_job_pkey"][1] <= 5
    assert read.get("job_held_by", (0, 0))[1] <= 250


def test_leases_are_put_off_and_flagged_by_their_keys(history: Bot) -> None:
    rows = json.dumps([{"id": 1, "seconds": 10, "reason": "silent"}])
    assert "jobs_job_pkey" in plan("schedule_checks", rows=rows)
    shown = plan(
        "flag", rows=rows, audit=None, actor="sweep", by="sweep_stuck", **{"from": transitions.sources(Verb.FLAG)}
    )
    assert "jobs_job_pkey" in shown
    assert "Seq Scan on jobs_job " not in shown


def test_no_index_depends_on_what_a_bot_is_doing() -> None:
    # Idle and busy change with every claim and report. Such a write stays within its page (HOT) only while no index
    # names the column, in its condition either; otherwise each leaves a dead entry in every index of the bots.
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'bots_bot'")
        definitions = [row[0] for row in cursor.fetchall()]
    assert len(definitions) > 4
    assert not [definition for definition in definitions if re.search(r"\bstatus\b", definition)]


def test_what_a_bot_holds_is_read_from_the_index_of_held_jobs(history: Bot) -> None:
    shown = Job.objects.held_by(history).explain()
    assert "job_held_by" in shown
    assert "Seq Scan on jobs_job " not in shown


@pytest.mark.parametrize("verb", ["heartbeat", "start", "release"])
def test_a_report_finds_its_jobs_by_their_keys(history: Bot, verb: str) -> None:
    lease = take_one(history)
    read = read_by_a_turn(history, **{verb: [{"id": lease.id, "attempt": lease.attempt}]})
    assert "jobs_job" not in read
    assert read["jobs_job_pkey"][1] <= 5
