"""What a pass costs: a few statements, whatever the size of the house, and none that reads a table of jobs or bots."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from alerts.incidents import sweep_late
from alerts.models import Incident, IncidentBot
from bots.models import Bot
from tests.alerts.passing import look, minutes_pass
from tests.jobs.test_plans_of_sweeps import fleet, history  # noqa: F401  the fixtures
from tests.lasting import check_and_analyze
from tests.lasting import lasting_rows as lasting_rows

pytestmark = pytest.mark.django_db

#: A pass over a house in order: its transaction, its lock, a savepoint, and a question for each cause.
CALM = 19
#: A pass that opens an incident with all its bots, and one over it while it lasts.
OPENING, LASTING = 32, 30

STUCK = """
    UPDATE bots_bot b
    SET health_status = 'potentially_stuck', health_reason = 'silent for 3 m on sum job 1, limit 2 m',
        stuck_job_id = j.id, last_seen_at = now()
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM jobs_job WHERE status = 'pending') j
    JOIN (SELECT id, row_number() OVER (ORDER BY id) AS n FROM bots_bot) o USING (n)
    WHERE b.id = o.id AND n <= %(many)s
"""


@pytest.fixture(scope="module")
def house(fleet: None) -> None:  # noqa: F811
    """10 000 bots and 22 000 jobs, in order; for all tests of this file."""
    Bot.objects.update(last_seen_at=Now(), health_status="normal", token_digest=None)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE bots_bot SET token_digest = sha256(name::bytea)")
        cursor.execute("UPDATE jobs_job SET run_at = now() - interval '1 minute' WHERE status = 'pending'")
        cursor.execute("ANALYZE bots_bot, jobs_job")
    check_and_analyze()


def asked() -> list[str]:
    """The statements of one pass."""
    with CaptureQueriesContext(connection) as queries:
        look()
    return [query["sql"] for query in queries]


def plan(sql: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + sql)
        return "\n".join(row[0] for row in cursor.fetchall())


def reads(sql: str) -> bool:
    return sql.startswith(("SELECT", "WITH", "--"))


def test_a_pass_over_a_house_in_order_asks_little(house: None) -> None:
    look()
    assert len(asked()) <= CALM
    assert not Incident.objects.exists()


def test_no_question_of_a_pass_reads_all_jobs_or_all_bots(house: None) -> None:
    for sql in filter(reads, asked()):
        said = plan(sql)
        assert "Seq Scan on jobs_job " not in said, sql + said
        assert "Seq Scan on bots_bot" not in said, sql + said


def test_a_thousand_bots_that_get_stuck_at_once_take_as_many_statements_as_one(house: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(STUCK, {"many": 1000})
    assert len(asked()) <= OPENING
    assert IncidentBot.objects.count() == 1000
    assert len(asked()) <= LASTING
    Bot.objects.update(health_reason="silent for 4 m on sum job 1, limit 2 m")
    assert len(asked()) <= LASTING
    minutes_pass(5)
    Bot.objects.update(health_status="normal", stuck_job=None, health_reason="")
    asked()
    minutes_pass(3)
    assert len(asked()) <= LASTING
    assert Incident.objects.get().resolved_at is not None
    assert not IncidentBot.objects.filter(until=None).exists()


def test_a_thousand_bots_that_go_down_at_once_are_found_by_when_they_were_last_seen(house: None) -> None:
    few = Bot.objects.order_by("pk").values("pk")[:50]
    Bot.objects.filter(pk__in=few).update(status="down", last_seen_at=Now() - timedelta(minutes=5))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE bots_bot")
    opening = asked()
    assert len(opening) <= OPENING
    (down,) = [sql for sql in opening if "'down'" in sql and "last_seen_at" in sql and "COUNT" not in sql]
    assert "bot_unseen" in plan(down)


def test_how_it_stands_with_the_sweep_is_one_question(house: None) -> None:
    from jobs.models import SweepRun

    SweepRun.objects.create(started_at=Now(), finished_at=Now(), took=0)
    with CaptureQueriesContext(connection) as queries:
        sweep_late.status()
    assert len(queries) == 1
