"""What `/metrics` has of schedules."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from jobs.models import Schedule
from tests.jobs.schedules.rules import a_schedule, fire, off_for

pytestmark = pytest.mark.django_db


@pytest.fixture
def values(client: Client, settings: Any) -> Any:
    """`values(family)`: its values by their labels."""
    settings.METRICS_OPEN = True

    def read(family: str) -> dict[str, float]:
        text = client.get("/metrics").content.decode()
        samples = [s for found in text_string_to_metric_families(text) for s in found.samples if s.name == family]
        return {",".join(sample.labels.values()): sample.value for sample in samples}

    return read


def test_how_many_there_are_in_each_state(values: Any) -> None:
    for name in ("one", "two", "three", "four"):
        a_schedule(name)
    Schedule.objects.filter(name="one").update(paused=True)
    Schedule.objects.filter(name="two").update(next_at=None)
    assert values("jobsite_schedules") == {"active": 2, "paused": 1, "ended": 1}


def test_how_late_the_latest_is_and_how_many_were_missed(values: Any) -> None:
    assert values("jobsite_schedule_late_seconds") == {"": 0}
    off_for(timedelta(minutes=75), every=1800, catch_up="none")
    assert 4500 <= values("jobsite_schedule_late_seconds")[""] < 4600
    assert values("jobsite_schedules_missed") == {"": 0}
    fire()
    assert values("jobsite_schedule_late_seconds") == {"": 0}
    assert values("jobsite_schedules_missed") == {"": 1}
