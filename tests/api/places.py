"""The jobs, bots and incidents that calls of the API are about."""

import pytest
from django.contrib.auth.models import User

from bots.models import AuditEntry, Bot
from jobs import lifecycle
from jobs.lifecycle import By
from jobs.schedules import changes
from jobs.schedules.definition import ScheduleIn
from tests.alerts.passing import an_incident
from tests.cast import enqueue_one, take_one
from tests.jobs.error_groups.groups import an_error_group

Places = dict[str, dict[str, int | str]]


def places_of(ada: Bot, olga: User) -> Places:
    """The ids for a call's path, by the job that it is about: one that ada holds, that failed, or that is pending."""
    failed = take_one(ada)
    failed.fail(retry=False)
    held = take_one(ada)
    pending = enqueue_one()
    lifecycle.prioritise([pending.pk], priority=3, by=By.operator(olga))
    act = AuditEntry.objects.get(verb="prioritise")
    schedule = changes.put("nightly", ScheduleIn(kind="sum", every=60).to_values()).schedule
    rows = {"bot_id": ada, "incident_id": an_incident(), "group_id": an_error_group(), "entry_id": act}
    ids = {name: row.pk for name, row in rows.items()} | {"name": schedule.name}
    jobs = {"held": held.id, "failed": failed.id, "pending": pending.pk}
    return {name: ids | {"job_id": pk} for name, pk in jobs.items()}


@pytest.fixture(scope="module")
def places(ada: Bot, olga: User) -> Places:
    """Made once, where ada and olga are, too: see `tests.lasting`."""
    return places_of(ada, olga)
