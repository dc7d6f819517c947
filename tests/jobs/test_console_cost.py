"""What the console costs: few queries, no page that reads or counts a table of jobs, and little HTML.

At the size of a test PostgreSQL would rather read a small table than an index; 22 000 jobs are enough for it to choose
as it does with ten million.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bots.models import Bot
from jobs.admin.events import CappedPaginator
from jobs.lists import job_list
from jobs.models import Job, JobKind, SweepRun
from jobs.release_patterns import samples
from jobs.states import JobStatus
from jobs.stats import counts, rollup
from tests.alerts.passing import an_incident
from tests.cast import bot_named
from tests.jobs.test_plans import FILL, fill
from tests.lasting import check_and_analyze

pytestmark = pytest.mark.django_db

#: No page of the console asks more, with session, user and permissions.
MOST_QUERIES = 15
MOST_BYTES = 120 * 1024
LIST = reverse("admin:jobs_job_changelist")
HISTORY = reverse("admin:jobs_jobevent_changelist")
PATTERNS = reverse("admin:jobs_jobevent_patterns")
PAGES = {
    "home": reverse("admin:index"),
    "home of a week": reverse("admin:index") + "?span=week",
    "all jobs": LIST,
    "an older page": LIST + "?before=9000",
    "a newer page": LIST + "?after=9000",
    "stuck": LIST + "?view=stuck",
    "held": LIST + "?view=held",
    "pending": LIST + "?view=pending",
    "failed": LIST + "?view=failed",
    "scheduled": LIST + "?view=scheduled",
    "one status": LIST + "?status=succeeded",
    "one kind": LIST + "?kind=sum",
    "a kind within a status": LIST + "?status=succeeded&kind=divide",
    "by number": LIST + "?q=17",
    "by key": LIST + "?q=order-17",
    "by bot": LIST + "?q=bot:ada",
    "by a word": LIST + "?q=cust-17",
    "by two words and a kind": LIST + "?q=cust-17+refused&kind=sum",
    "sorted by errors": LIST + "?view=failed&order=-error",
    "by payload": LIST + "?q=payload.customer%3D17",
    "by error": LIST + "?q=error:refused",
    "incidents": reverse("admin:alerts_incident_changelist"),
    "open incidents": reverse("admin:alerts_incident_changelist") + "?status=open",
    "bots": reverse("admin:bots_bot_changelist"),
    "kinds": reverse("admin:jobs_jobkind_changelist"),
    "a kind": reverse("admin:jobs_jobkind_change", args=["sum"]),
    "error groups": reverse("admin:jobs_errorgroup_changelist"),
    "the history": HISTORY,
    "the history of a period": HISTORY + "?from=2020-01-01&to=2090-01-01",
    "the history by person": HISTORY + "?person=olga&verb=release",
    "the history by words": HISTORY + "?words=hangs&kind=sum",
    "the history of a job": HISTORY + "?job=17",
    "a new job": reverse("admin:jobs_job_add") + "?kind=sum",
    "release patterns": PATTERNS,
    "release patterns of a day": PATTERNS + "?range=24h",
    "release patterns of a quarter": PATTERNS + "?range=90d",
    "release patterns of a kind": PATTERNS + "?kind=sum&counted=all",
    "release patterns of a bot": PATTERNS + "?bot=ada",
    "release patterns by operators": PATTERNS + "?counted=operators",
    "a table of release patterns": reverse("admin:jobs_jobevent_patterns_csv", args=["bots"]),
}


EVENTS = """
    INSERT INTO jobs_jobevent (job_id, attempt, verb, from_status, to_status, bot_id, actor, by, at, detail)
    SELECT id, 1, CASE WHEN n % 3 = 0 THEN 'expire' ELSE 'release' END, 'processing', 'pending',
           (SELECT id FROM bots_bot WHERE name = 'ada'),
           CASE WHEN n % 3 = 0 THEN 'sweep' WHEN n % 100 = 0 THEN 'operator' ELSE 'bot' END, 'olga',
           now() - n * interval '20 seconds', jsonb_build_object('claimed_at', now() - n * interval '21 seconds')
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM jobs_job) AS numbered
"""


@pytest.fixture(scope="module")
def history(django_db_setup: None, django_db_blocker: Any) -> Iterator[Bot]:
    """The bot that holds the jobs. All is filled once: each test is undone by itself, and this after the last one."""
    with django_db_blocker.unblock(), transaction.atomic():
        ada = bot_named("ada")
        fill(ada)
        # Nobody becomes stuck while the tests of this file run.
        JobKind.objects.update(heartbeat_within=timedelta(hours=1))
        with connection.cursor() as cursor:
            cursor.execute(EVENTS)
            cursor.execute("ANALYZE jobs_jobevent")
        rollup.add_closed_minutes()
        SweepRun.objects.create(started_at=Now(), finished_at=Now(), took=0)
        for n in range(20):
            an_incident(about=f"kind {n}", acknowledged_at=Now() if n % 2 else None)
        check_and_analyze()
        yield ada
        transaction.set_rollback(True)


@pytest.fixture
def console(client: Client, history: Bot, olga: User, monkeypatch: pytest.MonkeyPatch) -> Client:
    client.force_login(olga)
    # In the same proportion to the table as they are to ten million jobs.
    small = ((counts, "COUNTED"), (job_list, "SAMPLE"), (job_list, "SEARCHED"), (samples, "MAX_SAMPLES"))
    for module, name in small:
        monkeypatch.setattr(module, name, 100)
    monkeypatch.setattr(samples, "MAX_SEARCHED", 1000)
    monkeypatch.setattr(CappedPaginator, "LIMIT", 300)
    return client


def asked(client: Client, url: str) -> tuple[list[str], bytes]:
    """The queries a page asks when it is asked for again, and the page."""
    client.get(url)
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(url)
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    assert answer.status_code == 200
    return [query["sql"] for query in queries], body


def plan(sql: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + sql)
        return "\n".join(row[0] for row in cursor.fetchall())


@pytest.mark.parametrize("page", PAGES)
def test_a_page_asks_few_questions_and_reads_no_table_of_jobs(console: Client, page: str) -> None:
    queries, html = asked(console, PAGES[page])
    assert len(queries) <= MOST_QUERIES, "\n".join(queries)
    assert len(html) <= MOST_BYTES
    for sql in queries:
        if sql.startswith(("SELECT", "WITH", "--")):
            explained = plan(sql)
            assert "Seq Scan on jobs_job " not in explained, sql + "\n" + explained
            # A stretch of ids is most of this small table.
            bounded = "Filter: ((id >= " in explained
            assert bounded or "Seq Scan on jobs_jobevent " not in explained, sql + "\n" + explained


@pytest.mark.parametrize("status", [JobStatus.PENDING, JobStatus.PROCESSING, JobStatus.SUCCEEDED])
def test_the_page_of_a_job_and_of_a_bot_ask_few_questions(console: Client, history: Bot, status: str) -> None:
    job = Job.objects.filter(status=status).first()
    assert job is not None
    for url in (
        reverse("admin:jobs_job_change", args=[job.pk]),
        reverse("admin:bots_bot_change", args=[history.pk]),
    ):
        queries, html = asked(console, url)
        assert len(queries) <= MOST_QUERIES, "\n".join(queries)
        assert len(html) <= MOST_BYTES
        for sql in queries:
            if sql.startswith(("SELECT", "WITH")):
                assert "Seq Scan on jobs_job " not in plan(sql), sql


def test_a_status_of_many_kinds_is_one_statement_from_an_index(console: Client) -> None:
    JobKind.objects.bulk_create([JobKind(name=f"kind {n}") for n in range(30)])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET kind_id = 'kind ' || id % 30 WHERE status = 'succeeded'")
        cursor.execute("ANALYZE jobs_job")
    queries, _ = asked(console, PAGES["one status"])
    # The page, and the shares of the kinds.
    (sql,) = [sql for sql in queries if sql.startswith("-- By kind")]
    assert plan(sql).count("Index Only Scan Backward using job_at_rest") == 2, sql
    assert max(map(len, queries)) < 5000


def test_a_count_of_many_stops(console: Client) -> None:
    queries, html = asked(console, LIST)
    assert "about" in html.decode()
    for sql in queries:
        assert "count(*)" not in sql.lower() or "LIMIT" in sql or "bots_bot" in sql, sql


BOTS = """
    INSERT INTO bots_bot (name, kinds, status)
    SELECT 'bot-' || to_char(n, 'FM00000'), '{}', CASE WHEN n % 2 = 1 THEN 'busy' ELSE 'idle' END
    FROM generate_series(0, 9999) AS n
"""


def test_home_folds_a_large_fleet_and_stays_small(console: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute(BOTS)
    Bot.objects.create(name="sick", health_status="unhealthy", health_reason="silent for 9 m on sum job 1, limit 2 m")
    queries, html = asked(console, PAGES["home"])
    text = html.decode()
    # One more than other pages: its bots' quarantines.
    assert len(queries) <= MOST_QUERIES + 1
    assert len(html) <= MOST_BYTES
    # Bots that are well have none.
    assert text.count('class="tile ') == 1
    assert "Fleet: 10002 bots" in text
    assert "sick: was stuck" in text
    assert "5001 idle" in text


def test_the_fill_is_large_enough_to_mean_something(console: Client) -> None:
    assert "generate_series(1, 22200)" in FILL
    assert Job.objects.count() > 20_000


def test_hand_backs_are_found_by_when_they_ended_and_their_kinds_by_key(console: Client) -> None:
    queries, html = asked(console, PATTERNS)
    explained = html.decode()
    (looked,) = [sql for sql in queries if "claimed_at" in sql and "jobs_jobevent" in sql]
    assert "jobevent_ended_at" in plan(looked)
    assert "jobs_job_pkey" in plan(looked)
    assert f"Below: the newest {samples.MAX_SAMPLES}" in explained
    of_bot, _ = asked(console, PATTERNS + "?bot=ada")
    (looked,) = [sql for sql in of_bot if "claimed_at" in sql and "jobs_jobevent" in sql]
    assert "jobevent_by_bot" in plan(looked)


def test_release_patterns_of_a_large_fleet_stay_small(console: Client, history: Bot) -> None:
    with connection.cursor() as cursor:
        cursor.execute(FLEET)
        cursor.execute("ANALYZE jobs_jobrollup")
    queries, html = asked(console, PATTERNS)
    assert len(queries) <= MOST_QUERIES
    assert len(html) <= MOST_BYTES
    assert "more are in the CSV file" in html.decode()


#: 5000 bots that work on two kinds each, every day of a week; each gave back a few.
FLEET = """
    INSERT INTO jobs_jobrollup (span, start, kind, bot, succeeded, expired)
    SELECT 'bot_day', date_trunc('day', now(), 'UTC') - d * interval '1 day', k, 1000000 + b, 40, (b + d) % 3
    FROM generate_series(1, 5000) AS b, generate_series(0, 6) AS d, unnest(ARRAY['sum', 'divide']) AS k
"""
