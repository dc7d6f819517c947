"""PostgreSQL takes no more notifications, since somebody listens and never reads: every change is committed anyway."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.utils import OperationalError
from django.test import Client

from bots.models import Bot
from jobs import lifecycle
from jobs.lifecycle import SWEEP
from jobs.models import Job, JobKind
from jobs.turns import notifications
from tests.api.calls import send
from tests.cast import Lease, take_one

pytestmark = pytest.mark.django_db(transaction=True)

#: What PostgreSQL does with a full queue, which has eight gigabytes: COMMIT fails after a `pg_notify`. It has room
#: again when somebody asks how full it is, and nobody keeps it (`kept`).
FULL = """
    CREATE SCHEMA full_queue;
    CREATE TABLE full_queue.news (text text);
    CREATE TABLE full_queue.state AS SELECT true AS full, true AS kept;
    CREATE FUNCTION full_queue.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF (SELECT s.full FROM full_queue.state s) THEN
            RAISE EXCEPTION 'too many notifications in the NOTIFY queue' USING ERRCODE = 'program_limit_exceeded';
        END IF;
        RETURN NULL;
    END $$;
    CREATE FUNCTION full_queue.pg_notification_queue_usage() RETURNS double precision LANGUAGE sql AS
        'UPDATE full_queue.state SET "full" = kept RETURNING 1.0';
    CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON full_queue.news
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION full_queue.refuse();
    CREATE FUNCTION full_queue.pg_notify(text, text) RETURNS void LANGUAGE sql AS
        'INSERT INTO full_queue.news VALUES ($2)';
    SET search_path = full_queue, public, pg_catalog;
"""


@pytest.fixture
def full(direct: None) -> Iterator[None]:
    """The queue is full, for the connection of this test."""
    with connection.cursor() as cursor:
        cursor.execute(FULL)
        try:
            yield
        finally:
            cursor.execute("RESET search_path; DROP SCHEMA full_queue CASCADE")


def test_it_is_full(full: None) -> None:
    with connection.cursor() as cursor, pytest.raises(OperationalError, match="too many notifications"):
        cursor.execute("SELECT pg_notify(%s, '{}')", [notifications.PENDING])


@pytest.fixture
def held(ada: Bot) -> Lease:
    """A job that is due again as soon as it is given back."""
    lease = take_one(ada)
    JobKind.objects.update(backoff=timedelta(0))
    return lease


def test_a_bots_report_holds(client: Client, full: None, held: Lease, ada_token: str) -> None:
    failed = {"attempt": held.attempt, "error": "x"}
    assert send(client, ada_token, "POST", f"/jobs/{held.id}/fail", failed).status_code == 200
    assert (held.job.status, held.job.error) == ("pending", "x")


def test_what_a_bot_hands_back_is_pending(client: Client, full: None, held: Lease, ada_token: str) -> None:
    assert send(client, ada_token, "POST", f"/jobs/{held.id}/release", {"attempt": held.attempt}).status_code == 200
    assert held.job.status == "pending"


def test_an_exchange_holds_and_claims(client: Client, full: None, held: Lease, ada_token: str) -> None:
    turn = {"failed": [{"id": held.id, "attempt": 1, "error": "x"}], "claim": {"limit": 1}}
    answer = send(client, ada_token, "POST", "/exchange", turn)
    assert (answer.status_code, answer.json()["accepted"]) == (200, [held.id])
    assert [(job["id"], job["attempt"]) for job in answer.json()["jobs"]] == [(held.id, 2)]


@pytest.mark.parametrize("again", [lambda lease: lease.hand_back(), lambda lease: lease.fail()])
def test_a_report_inside_a_transaction_holds(full: None, held: Lease, again: Callable[[Lease], Any]) -> None:
    with transaction.atomic():
        again(held)
    assert held.job.status == "pending"


def test_new_jobs_are_kept(client: Client, full: None, olga_key: str) -> None:
    assert send(client, olga_key, "POST", "/jobs", {"kind": "sum"}).status_code == 201
    many = {"jobs": [{"kind": "sum"}] * 300}
    assert send(client, olga_key, "POST", "/jobs/bulk", many).json()["created"] == 300
    assert Job.objects.pending().count() == 301


def test_the_acts_of_operators_and_of_the_sweep_hold(client: Client, full: None, held: Lease, olga_key: str) -> None:
    assert send(client, olga_key, "POST", f"/jobs/{held.id}/release", {}).status_code == 200
    assert held.job.status == "pending"
    assert send(client, olga_key, "POST", f"/jobs/{held.id}/cancel", {}).status_code == 200
    assert send(client, olga_key, "POST", f"/jobs/{held.id}/retry", {}).status_code == 200
    (again,) = lifecycle.claim(held.bot)
    lifecycle.expire([again.id], by=SWEEP, reasons={again.id: "silent"})
    assert held.job.status == "pending"


def test_the_log_names_it_once_for_each(
    client: Client, full: None, olga_key: str, caplog: pytest.LogCaptureFixture
) -> None:
    send(client, olga_key, "POST", "/jobs", {"kind": "sum"})
    (line,) = [record for record in caplog.records if "too many notifications" in record.getMessage()]
    assert (line.levelname, line.exc_info) == ("WARNING", None)


def test_when_nobody_keeps_it_full_it_has_room_again(
    client: Client, full: None, olga_key: str, caplog: pytest.LogCaptureFixture
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE full_queue.state SET kept = false")
        send(client, olga_key, "POST", "/jobs", {"kind": "sum"})
        cursor.execute("SELECT text FROM full_queue.news")
        assert cursor.fetchall() == [('{"sum":1}',)]
    assert not [record for record in caplog.records if "too many notifications" in record.getMessage()]
