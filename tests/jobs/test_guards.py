"""What jobs point to stays while they do: without a look at it for each job, and whoever comes at the same time."""

import pytest
from django.db import IntegrityError, connection, transaction

from bots.models import Bot
from jobs import lifecycle
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.lifecycle import By, Report
from jobs.models import Job, JobKind
from jobsite.lib.errors import Unauthorized
from tests.cast import Lease, enqueue_one, take_one
from tests.race import PATIENCE, racers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def held(ada: Bot) -> Lease:
    return take_one(ada)


def run_sql(text: str, *params: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(text, params)


def delete(row: Bot | JobKind) -> None:
    """As one would with psql: past Django's own rules."""
    if isinstance(row, Bot):
        run_sql("DELETE FROM bots_instance WHERE bot_id = %s", row.pk)
    run_sql(f"DELETE FROM {row._meta.db_table} WHERE {row._meta.pk.column} = %s", row.pk)


def test_a_bot_that_holds_a_job_cannot_be_deleted(held: Lease) -> None:
    with pytest.raises(IntegrityError, match=f"bot {held.bot.name} holds jobs"):
        delete(held.bot)
    assert held.job.claimed_by == held.bot


def test_a_job_that_a_bot_completed_does_not_name_it_when_it_is_gone(ada: Bot, held: Lease) -> None:
    lifecycle.complete([Report(held.id, held.attempt)], by=By.bot(held.bot))
    delete(held.bot)
    assert (held.job.status, held.job.finished_by_id) == ("succeeded", None)


def test_a_bot_that_claims_meanwhile_is_not_deleted(ada: Bot) -> None:
    enqueue_one()
    with racers() as run:
        with transaction.atomic():
            (job,) = lifecycle.claim(ada)
            deleting = run.go_and_block(lambda: delete(ada))
        with pytest.raises(IntegrityError, match="holds jobs"):
            deleting.result(PATIENCE)
    assert Job.objects.get(pk=job.id).claimed_by == ada


def test_a_bot_that_is_being_deleted_claims_nothing(ada: Bot) -> None:
    enqueue_one()
    digest = bytes(ada.token_digest or b"")
    with racers() as run:
        with transaction.atomic():
            delete(ada)
            request = lifecycle.turn_request(digest, lifecycle.ClaimRequest())
            claiming = run.go_and_block(lambda: lifecycle.take_turn(request))
        with pytest.raises(Unauthorized):
            claiming.result(PATIENCE)
    assert not Job.objects.held().exists()


def test_a_kind_that_has_jobs_cannot_be_deleted_or_called_otherwise() -> None:
    job = enqueue_one()
    with pytest.raises(IntegrityError, match="kind sum has jobs"):
        delete(job.kind)
    with pytest.raises(IntegrityError, match="kind sum has jobs"):
        run_sql("UPDATE jobs_jobkind SET name = 'add' WHERE name = 'sum'")
    run_sql("UPDATE jobs_jobkind SET paused = true, name = 'sum' WHERE name = 'sum'")
    assert JobKind.objects.get().paused


def test_a_kind_without_jobs_may_go() -> None:
    kind = JobKind.objects.create(name="sum")
    delete(kind)
    assert not JobKind.objects.exists()


@pytest.mark.parametrize("many", [1, insert.COPY_FROM], ids=["a few", "by COPY"])
def test_a_kind_that_gets_jobs_meanwhile_is_not_deleted(many: int) -> None:
    kind = JobKind.objects.create(name="sum")
    with racers() as run:
        with transaction.atomic():
            insert.enqueue([NewJob("sum", {})] * many)
            deleting = run.go_and_block(lambda: delete(kind))
        with pytest.raises(IntegrityError, match="has jobs"):
            deleting.result(PATIENCE)
    assert Job.objects.filter(kind="sum").count() == many


def test_a_kind_that_is_being_deleted_comes_into_being_again_for_new_jobs() -> None:
    kind = JobKind.objects.create(name="sum", max_attempts=9)
    with racers() as run:
        with transaction.atomic():
            delete(kind)
            coming = run.go_and_block(lambda: insert.enqueue([NewJob("sum", {})]))
        coming.result(PATIENCE)
    assert Job.objects.get().kind.max_attempts == 3
