"""What the console costs: few queries, no page that reads or counts a table of jobs, and little HTML.

At the size of a test PostgreSQL would rather read a small table than an index; 22 000 jobs are enough for it to choose
as it does with ten million.
"""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bots.models import Bot
from jobs import figures, listing, overview
from jobs.admin.events import CappedPaginator
from jobs.models import Job, SweepRun
from jobs.states import JobStatus
from tests.alerts.passing import an_incident
from tests.jobs.test_plans import FILL, history  # noqa: F401  the fixture

pytestmark = pytest.mark.django_db

#: No page of the console asks more, with session, user and permissions.
MOST_QUERIES = 14
MOST_BYTES = 120 * 1024
LIST = reverse("admin:jobs_job_changelist")
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
    "by payload": LIST + "?q=payload.customer%3D17",
    "by error": LIST + "?q=error:refused",
    "incidents": reverse("admin:alerts_incident_changelist"),
    "open incidents": reverse("admin:alerts_incident_changelist") + "?status=open",
    "bots": reverse("admin:bots_bot_changelist"),
    "kinds": reverse("admin:jobs_jobkind_changelist"),
    "a kind": reverse("admin:jobs_jobkind_change", args=["sum"]),
    "the history": reverse("admin:jobs_jobevent_changelist"),
    "a new job": reverse("admin:jobs_job_add") + "?kind=sum",
}


EVENTS = """
    INSERT INTO jobs_jobevent (job_id, attempt, verb, from_status, to_status, actor, by, at, detail)
    SELECT id, 1, 'release', 'processing', 'pending', CASE WHEN id % 100 = 0 THEN 'operator' ELSE 'bot' END, 'olga',
           now() - id * interval '1 second', '{}'
    FROM jobs_job
"""


@pytest.fixture
def console(client: Client, olga: User, history: Bot, monkeypatch: pytest.MonkeyPatch) -> Client:  # noqa: F811
    client.force_login(olga)
    with connection.cursor() as cursor:
        cursor.execute(EVENTS)
        cursor.execute("ANALYZE jobs_jobevent")
    # In the same proportion to the table as they are to ten million jobs.
    for module, name in ((figures, "COUNTED"), (listing, "SAMPLE"), (listing, "SEARCHED")):
        monkeypatch.setattr(module, name, 100)
    monkeypatch.setattr(CappedPaginator, "MOST", 300)
    figures.keep_tally()
    SweepRun.objects.create(started_at=Now(), finished_at=Now(), took=0)
    for n in range(20):
        an_incident(about=f"kind {n}", acknowledged_at=Now() if n % 2 else None)
    return client


def asked(client: Client, url: str) -> tuple[list[str], bytes]:
    """The queries a page asks when it is asked for again, and the page."""
    client.get(url)
    with CaptureQueriesContext(connection) as queries:
        said = client.get(url)
    assert said.status_code == 200
    return [query["sql"] for query in queries], said.content


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
            said = plan(sql)
            assert "Seq Scan on jobs_job " not in said, sql + "\n" + said
            assert "Seq Scan on jobs_jobevent " not in said, sql + "\n" + said


@pytest.mark.parametrize("status", [JobStatus.PENDING, JobStatus.PROCESSING, JobStatus.SUCCEEDED])
def test_the_page_of_a_job_and_of_a_bot_ask_few_questions(console: Client, history: Bot, status: str) -> None:  # noqa: F811
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


def test_a_count_of_many_stops(console: Client) -> None:
    queries, html = asked(console, LIST)
    assert "about" in html.decode()
    for sql in queries:
        assert "count(*)" not in sql.lower() or "LIMIT" in sql or "bots_bot" in sql, sql


def test_home_folds_a_large_fleet_and_stays_small(console: Client) -> None:
    Bot.objects.bulk_create(
        [Bot(name=f"bot-{n:05}", status="busy" if n % 2 else "idle") for n in range(10_000)]
        + [Bot(name="sick", health_status="unhealthy", health_reason="silent for 9 m on sum job 1, limit 2 m")]
    )
    queries, html = asked(console, PAGES["home"])
    said = html.decode()
    assert len(queries) <= MOST_QUERIES
    assert len(html) <= MOST_BYTES
    assert said.count('class="tile ') == overview.TILES
    assert "Fleet: 10002 bots" in said
    assert "sick: unhealthy" in said
    assert "5001 idle" in said


def test_the_fill_is_large_enough_to_mean_something(console: Client) -> None:
    assert "generate_series(1, 22200)" in FILL
    assert Job.objects.count() > 20_000
