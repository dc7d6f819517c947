"""A retry takes no key that another job has by then, and of several with one key the newest is retried."""

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from bots.models import Bot
from jobs import lifecycle
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.lifecycle import By
from jobs.models import Job
from tests.cast import enqueue_one, take_one
from tests.race import PATIENCE, racers

pytestmark = pytest.mark.django_db

KEYED = {"key": "k", "unique": "unfinished"}


def failed(bot: Bot, **fields: object) -> Job:
    lease = take_one(bot, **(KEYED | fields))
    lease.fail(retry=False)
    return lease.job


def retried(jobs: list[Job], by: User) -> list[int]:
    return [change.id for change in lifecycle.retry([job.pk for job in jobs], by=By.operator(by))]


def test_of_forty_with_one_key_the_newest_is_retried(ada: Bot, olga: User) -> None:
    jobs = [failed(ada) for _ in range(40)]
    other, plain = failed(ada, key="other"), failed(ada, key=None, unique="always")
    assert retried([*jobs, other, plain], olga) == [jobs[-1].pk, other.pk, plain.pk]
    assert Job.objects.filter(status="failed").count() == 39


def test_none_is_retried_whose_key_another_job_has(ada: Bot, olga: User) -> None:
    job = failed(ada)
    enqueue_one(**KEYED)
    assert retried([job], olga) == []
    assert Job.objects.get(pk=job.pk).status == "failed"


@pytest.mark.parametrize("unique", ["always", "unfinished", "pending"])
def test_whose_key_is_free_is_retried(ada: Bot, olga: User, unique: str) -> None:
    job = failed(ada, unique=unique)
    assert retried([job], olga) == [job.pk]


def test_a_job_that_was_never_claimed_takes_its_key_again(olga: User) -> None:
    first = enqueue_one(key="k", unique="pending")
    lifecycle.cancel([first.pk], by=By.operator(olga))
    second = enqueue_one(key="k", unique="pending")
    assert second.pk != first.pk
    assert retried([first], olga) == []
    lifecycle.cancel([second.pk], by=By.operator(olga))
    assert retried([first, second], olga) == [second.pk]


def test_one_that_was_claimed_once_wants_no_key_any_more(ada: Bot, olga: User) -> None:
    job = failed(ada, unique="pending")
    enqueue_one(key="k", unique="pending")
    assert retried([job], olga) == [job.pk]


@pytest.mark.django_db(transaction=True)
def test_a_retry_that_meets_a_producer_sees_its_job(ada: Bot, olga: User) -> None:
    job = failed(ada)
    with racers() as run:
        with transaction.atomic():
            insert.enqueue([NewJob("sum", {}, **KEYED)])  # type: ignore[arg-type]
            # The producer has not committed, so the retry sees no such job, and meets it in the index.
            retry = run.go_and_block(lambda: retried([job], olga))
        assert retry.result(PATIENCE) == []
    assert Job.objects.get(pk=job.pk).status == "failed"
