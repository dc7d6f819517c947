"""The jobs, bots and incidents that calls of the API are about."""

import pytest

from bots.models import Bot
from jobs.schedules import changes
from jobs.schedules.definition import ScheduleIn
from tests.alerts.passing import an_incident
from tests.cast import enqueue_one, take_one
from tests.jobs.error_groups.groups import an_error_group


@pytest.fixture
def places(ada: Bot) -> dict[bool, dict[str, int | str]]:
    """The ids for a call's path: a job that ada holds, or one that failed; and the name of a schedule."""
    failed = take_one(ada)
    failed.fail(retry=False)
    held = take_one(ada)
    enqueue_one()
    schedule = changes.put("nightly", ScheduleIn(kind="sum", every=60).to_values()).schedule
    ids = {"bot_id": ada.pk, "incident_id": an_incident().pk, "name": schedule.name, "group_id": an_error_group().pk}
    return {False: ids | {"job_id": held.id}, True: ids | {"job_id": failed.id}}
