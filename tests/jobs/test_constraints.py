"""What must not be is refused by the database itself, whoever writes it: here, plain SQL."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from bots.models import Bot
from bots.states import BotStatus, HealthStatus
from jobs.models import Job, JobEvent, JobKind
from jobs.states import Actor, JobStatus, Policy, Verb
from tests.cast import Lease, enqueue_one, take_one

pytestmark = pytest.mark.django_db


def execute(sql: str, *params: Any) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, params)
        # An update that met no row would be refused by nobody.
        assert cursor.rowcount == 1


def refused(sql: str, *params: Any) -> str:
    """The constraint that refuses this."""
    with pytest.raises(IntegrityError) as caught:
        execute(sql, *params)
    name: str = caught.value.__cause__.diag.constraint_name  # type: ignore[union-attr]
    return name


@pytest.fixture
def held(ada: Bot) -> Lease:
    return take_one(ada)


@pytest.mark.parametrize(
    ("column", "value", "constraint"),
    [
        ("status", "asleep", "bot_status_valid"),
        ("status", "", "bot_status_valid"),
        ("health_status", "poorly", "bot_health_status_valid"),
        ("health_status", "UNHEALTHY", "bot_health_status_valid"),
        ("capacity", 0, "bot_capacity_range"),
        ("capacity", 1001, "bot_capacity_range"),
    ],
)
def test_a_bot_that_cannot_be(ada: Bot, column: str, value: Any, constraint: str) -> None:
    assert refused(f"UPDATE bots_bot SET {column} = %s WHERE id = %s", value, ada.pk) == constraint


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("when_silent = 'panic'", "jobkind_when_silent_valid"),
        ("when_overdue = 'panic'", "jobkind_when_overdue_valid"),
        ("max_attempts = 0", "jobkind_max_attempts_range"),
        ("max_attempts = 1001", "jobkind_max_attempts_range"),
        ("start_within = '0'", "jobkind_limits_positive"),
        ("heartbeat_within = '-1 second'", "jobkind_limits_positive"),
        ("run_within = '0'", "jobkind_limits_positive"),
        ("backoff = '-1 second'", "jobkind_limits_positive"),
        ("keep_for = '-1 second'", "jobkind_durations_bounded"),
    ],
)
def test_a_kind_that_cannot_be(db: None, change: str, constraint: str) -> None:
    JobKind.objects.create(name="sum")
    assert refused(f"UPDATE jobs_jobkind SET {change}") == constraint


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("status = 'lost', claimed_by_id = NULL, deadline_at = NULL", "job_status_valid"),
        ("claimed_by_id = NULL", "job_held_has_lease"),
        ("deadline_at = NULL", "job_held_has_lease"),
        ("claimed_at = NULL", "job_held_has_lease"),
        ("attempt = 0", "job_held_has_lease"),
        ("status = 'pending'", "job_held_has_lease"),
        ("status = 'succeeded', finished_at = now()", "job_held_has_lease"),
        ("status = 'failed', claimed_by_id = NULL, deadline_at = NULL", "job_finished_has_end"),
        ("finished_at = now()", "job_finished_has_end"),
        ("progress = 101", "job_progress_range"),
        ("progress = -1", "job_progress_range"),
        ("max_attempts = 0", "job_max_attempts_range"),
        ("max_attempts = 1001", "job_max_attempts_range"),
    ],
)
def test_a_held_job_that_cannot_be(held: Lease, change: str, constraint: str) -> None:
    assert refused(f"UPDATE jobs_job SET {change} WHERE id = %s", held.id) == constraint


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("claimed_by_id = %(bot)s", "job_held_has_lease"),
        ("deadline_at = now()", "job_held_has_lease"),
        ("status = 'processing'", "job_held_has_lease"),
        ("status = 'cancelled'", "job_finished_has_end"),
    ],
)
def test_a_pending_job_that_cannot_be(ada: Bot, change: str, constraint: str) -> None:
    job = enqueue_one()
    assert refused(f"UPDATE jobs_job SET {change % {'bot': ada.pk}} WHERE id = {job.pk}") == constraint


def test_a_key_twice_in_a_kind(db: None) -> None:
    enqueue_one(key="k")
    other = enqueue_one(key="l")
    assert refused("UPDATE jobs_job SET key = 'k' WHERE id = %s", other.pk) == "job_key_once_per_kind"


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("verb = 'ponder'", "jobevent_verb_valid"),
        ("actor = 'ghost'", "jobevent_actor_valid"),
        ("from_status = 'lost'", "jobevent_from_valid"),
        ("to_status = 'lost'", "jobevent_to_valid"),
    ],
)
def test_an_event_that_cannot_be(held: Lease, change: str, constraint: str) -> None:
    held.hand_back()
    assert refused(f"UPDATE jobs_jobevent SET {change}") == constraint


def test_a_late_result_twice_for_one_attempt(held: Lease) -> None:
    held.hand_back()
    held.complete()
    late = "SELECT job_id, attempt, verb, from_status, to_status, actor, detail FROM jobs_jobevent WHERE verb = 'late'"
    columns = "job_id, attempt, verb, from_status, to_status, actor, detail"
    assert refused(f"INSERT INTO jobs_jobevent ({columns}) {late}") == "jobevent_late_once"


@pytest.mark.parametrize(
    ("table", "column", "choices"),
    [
        ("bots_bot", "status", BotStatus),
        ("bots_bot", "health_status", HealthStatus),
        ("jobs_jobkind", "when_silent", Policy),
        ("jobs_jobkind", "when_overdue", Policy),
        ("jobs_jobevent", "verb", Verb),
        ("jobs_jobevent", "actor", Actor),
        ("jobs_jobevent", "from_status", JobStatus),
        ("jobs_jobevent", "to_status", JobStatus),
    ],
)
def test_every_value_the_code_uses_is_let_in(held: Lease, table: str, column: str, choices: Any) -> None:
    held.hand_back()
    assert JobEvent.objects.count() == 1
    for value in choices.values:
        execute(f"UPDATE {table} SET {column} = %s", value)


def test_every_status_a_job_can_have_is_let_in(held: Lease) -> None:
    held.hand_back()
    lease = f"claimed_by_id = {held.bot.pk}, claimed_at = now(), deadline_at = now(), finished_at = NULL"
    free = "claimed_by_id = NULL, deadline_at = NULL"
    columns = {"claimed": lease, "processing": lease, "pending": f"{free}, finished_at = NULL"}
    for status in JobStatus.values:
        execute(f"UPDATE jobs_job SET status = %s, {columns.get(status, free + ', finished_at = now()')}", status)
    assert Job.objects.get().status == JobStatus.values[-1]
