"""The hot questions are answered from partial indexes over live rows, however much history there is."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from bots.models import Bot
from jobs import lifecycle, transitions
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.lifecycle import ClaimRequest
from jobs.lifecycle.statements import SQL
from jobs.models import Job
from jobs.states import Verb
from jobs.sweep import run, suspects
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

BOTS = """
    INSERT INTO bots_bot (name, kinds, last_seen_at, health_status)
    SELECT 'bot ' || n, '{}', CASE WHEN n > 20 THEN now() ELSE now() - interval '1 hour' END,
           CASE WHEN n % 500 = 0 THEN 'unhealthy' ELSE 'normal' END
    FROM generate_series(1, 10000) AS n
"""

EVENTS = """
    INSERT INTO jobs_jobevent (job_id, attempt, verb, from_status, to_status, bot_id, actor, at, detail)
    SELECT (SELECT min(id) FROM jobs_job), 1, 'fail', 'processing', 'pending', b.id, 'bot',
           now() - n * interval '1 hour', '{}'
    FROM bots_bot b, generate_series(1, 3) AS n
"""

DUE = """
    UPDATE jobs_job j
    SET claimed_by_id = b.id, claimed_at = now() - interval '10 minutes', started_at = now() - interval '10 minutes',
        heartbeat_at = now() - interval '10 minutes', deadline_at = now() - interval '8 minutes'
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM jobs_job WHERE status = 'processing') held
    JOIN (SELECT id, row_number() OVER (ORDER BY id) AS n FROM bots_bot) b USING (n)
    WHERE j.id = held.id AND n <= %(jobs)s
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


@pytest.fixture
def sweep_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what follows a sweep: the plans of the statistics are tests of their own."""
    monkeypatch.setattr(run, "follow_up", lambda swept, *, full: None)


@pytest.fixture
def fleet(history: Bot) -> None:
    """10 000 bots more, a few of which are unwell or have not been seen for long, and an old history of them all."""
    with connection.cursor() as cursor:
        cursor.execute(BOTS)
        cursor.execute(EVENTS)
        cursor.execute("ANALYZE bots_bot, jobs_jobevent")


def make_due(jobs: int, *, analyze: bool = True) -> None:
    """So many held jobs have been silent for ten minutes, and each is a bot's of its own."""
    with connection.cursor() as cursor:
        cursor.execute(DUE, {"jobs": jobs})
        if analyze:
            cursor.execute("ANALYZE jobs_job")


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


def test_what_is_due_is_read_from_the_index_of_deadlines(history: Bot) -> None:
    with CaptureQueriesContext(connection) as queries:
        run.sweep()
    (due,) = [query["sql"] for query in queries if 'ORDER BY "jobs_job"."deadline_at"' in query["sql"]]
    shown = explain(due)
    assert "Index Scan using job_deadline" in shown
    assert "Seq Scan" not in shown


def plans(queries: CaptureQueriesContext) -> dict[str, str]:
    """The plan of each statement about jobs, their events or bots."""
    asked = [query["sql"] for query in queries if re.search("jobs_job|bots_bot", query["sql"])]
    return {sql: explain(sql) for sql in asked}


@pytest.mark.usefixtures("sweep_alone")
def test_a_sweep_with_nothing_due_reads_indexes_alone(history: Bot, fleet: None) -> None:
    with CaptureQueriesContext(connection) as queries:
        swept = run.sweep()
    # Those not seen for an hour are down from now on; the next sweep finds them so.
    assert (swept.checked, swept.unhealthy, swept.down) == (0, 20, 20)
    with CaptureQueriesContext(connection) as queries:
        run.sweep()
    shown = plans(queries)
    assert len(shown) == len(set(shown)) == 8
    assert not re.search("Seq Scan on (jobs_job|jobs_jobevent|bots_bot) ", "".join(shown.values()))
    assert sum("job_deadline" in text for text in shown.values()) == 1
    assert sum("job_suspected" in text for text in shown.values()) == 1
    assert sum("bot_unwell" in text for text in shown.values()) == 3
    assert sum("bot_unseen" in text for text in shown.values()) == 2


@pytest.mark.usefixtures("sweep_alone")
@pytest.mark.parametrize("stale", [False, True])
def test_a_batch_finds_its_leases_by_their_keys_whatever_the_statistics_say(
    history: Bot, fleet: None, stale: bool
) -> None:
    make_due(200, analyze=not stale)
    with CaptureQueriesContext(connection) as queries:
        swept = run.sweep()
    assert (swept.checked, swept.expired) == (200, 200)
    shown = plans(queries)
    assert len(shown) > 10
    for sql, text in shown.items():
        assert not re.search("Seq Scan on (jobs_job|jobs_jobevent) ", text), sql
        if 'ORDER BY "jobs_job"."deadline_at"' not in sql:
            assert "job_deadline" not in text, sql


INSTANCES = """
    INSERT INTO bots_instance (bot_id, name, identity, last_seen_at) SELECT id, '', '', now() FROM bots_bot
"""
TOKENS = "UPDATE bots_bot SET token_digest = decode(md5(name), 'hex')"
EXPIRED = """
    INSERT INTO jobs_jobevent (job_id, attempt, verb, from_status, to_status, bot_id, actor, at, detail)
    SELECT j.id, 1, 'expire', 'processing', 'pending', (SELECT min(id) FROM bots_bot), 'sweep', now(), '{}'
    FROM jobs_job j WHERE j.status = 'succeeded' LIMIT 300
"""


def asked_of(act: Callable[[], Any]) -> str:
    """The plans of what this asks."""
    with CaptureQueriesContext(connection) as queries:
        act()
    return "\n".join(plans(queries).values())


def test_expiries_are_judged_from_the_index_of_what_expired_and_the_keys_of_its_jobs(history: Bot, fleet: None) -> None:
    with connection.cursor() as cursor:
        for statement in (INSTANCES, EXPIRED, "ANALYZE bots_instance, jobs_jobevent"):
            cursor.execute(statement)
    found = asked_of(lambda: suspects.lately(["sum"]))
    assert "jobevent_expired" in found
    assert not re.search("Seq Scan on (jobs_job|jobs_jobevent|bots_instance) ", found)
    assert "job_suspected" in asked_of(lambda: list(suspects.to_judge()))


def test_who_else_is_well_is_read_in_the_order_of_current_instances(history: Bot, fleet: None) -> None:
    with connection.cursor() as cursor:
        for statement in (INSTANCES, TOKENS, "ANALYZE bots_instance, bots_bot"):
            cursor.execute(statement)
    make_due(1)
    checks = lifecycle.check_leases(Job.objects.held().filter(deadline_at__lte=Now()))
    found = asked_of(lambda: suspects.have_others(checks))
    assert "instance_current" in found
    assert not re.search("Seq Scan on (bots_instance|bots_bot) |Sort", found)


def test_the_bots_a_batchs_jobs_have_hung_are_found_by_the_jobs_history(history: Bot, fleet: None) -> None:
    make_due(200)
    Job.objects.held().update(attempt=3)
    with CaptureQueriesContext(connection) as queries:
        run.sweep()
    (hung,) = [query["sql"] for query in queries if '"bots_bot"."name"' in query["sql"] and "'retry'" in query["sql"]]
    shown = explain(hung)
    assert "jobevent_by_job" in shown
    assert "Seq Scan on jobs_jobevent" not in shown


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
