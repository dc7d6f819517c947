"""A sweep finds what it needs by indexes, however many bots there are and however much history."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from bots.models import Bot
from jobs import lifecycle
from jobs.models import Job
from jobs.sweep import run, suspects
from tests.cast import bot_named
from tests.jobs.test_plans import explain, fill
from tests.lasting import check_and_analyze
from tests.lasting import lasting_rows as lasting_rows  # the fixture

pytestmark = pytest.mark.django_db

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


@pytest.fixture
def sweep_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what follows a sweep: the plans of the statistics are tests of their own."""
    monkeypatch.setattr(run, "follow_up", lambda swept, *, full: None)


@pytest.fixture(scope="module")
def history(lasting_rows: None) -> Bot:
    """The bot that holds the jobs. All is filled once: each test is undone by itself, and this after the last one."""
    ada = bot_named("ada")
    fill(ada)
    check_and_analyze()
    return ada


@pytest.fixture(scope="module")
def fleet(history: Bot) -> None:
    """10 000 bots more, a few of which are unwell or have not been seen for long, and an old history of them all."""
    with connection.cursor() as cursor:
        cursor.execute(BOTS)
        cursor.execute(EVENTS)
        cursor.execute("ANALYZE bots_bot, jobs_jobevent")
    check_and_analyze()


def make_due(jobs: int, *, analyze: bool = True) -> None:
    """So many held jobs have been silent for ten minutes, and each is a bot's of its own."""
    with connection.cursor() as cursor:
        cursor.execute(DUE, {"jobs": jobs})
        if analyze:
            cursor.execute("ANALYZE jobs_job")


def plans(queries: CaptureQueriesContext) -> dict[str, str]:
    """The plan of each statement about jobs, their events or bots."""
    asked = [query["sql"] for query in queries if re.search("jobs_job|bots_bot", query["sql"])]
    return {sql: explain(sql) for sql in asked}


def test_what_is_due_is_read_from_the_index_of_deadlines(history: Bot) -> None:
    with CaptureQueriesContext(connection) as queries:
        run.sweep()
    (due,) = [query["sql"] for query in queries if 'ORDER BY "jobs_job"."deadline_at"' in query["sql"]]
    shown = explain(due)
    assert "Index Scan using job_deadline" in shown
    assert "Seq Scan" not in shown


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
