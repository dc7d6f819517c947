"""A lease counts from when it began, however long its claim has waited for a gate that another one held."""

from datetime import timedelta

import pytest
from django.db import connection, transaction

from bots.models import Bot
from jobs import lifecycle
from jobs.models import Gate, JobKind
from tests.cast import enqueue_one
from tests.jobs.lifecycle.test_limits import limit
from tests.race import PATIENCE, racers

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_seconds_of_a_lease_begin_after_the_wait_for_its_gate(ada: Bot) -> None:
    limit(max_held=1)
    JobKind.objects.update(heartbeat_within=timedelta(seconds=90))
    enqueue_one()
    with racers() as run:
        with transaction.atomic():
            Gate.objects.select_for_update().get()
            waiting = run.go_and_block(lambda: lifecycle.claim(ada))
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(0.05), clock_timestamp()")
                freed_at = cursor.fetchone()[1]
        (job,) = waiting.result(PATIENCE)
    assert job.lease_for == 90
    assert job.deadline_at - timedelta(seconds=90) > freed_at
