"""The history lists the newest events, also across the gap that a restore leaves in their ids."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from bots.models import Bot
from jobs import lifecycle
from jobs.admin import events
from jobs.lifecycle import By
from jobsite.lib import site
from tests.cast import take_one

pytestmark = pytest.mark.django_db
HISTORY = reverse("admin:jobs_jobevent_changelist")


def listed(client: Client) -> list[int]:
    """The jobs of the events in the list, the newest first."""
    found = re.findall(r'field-shown_job"><a href="/admin/jobs/job/(\d+)/', client.get(HISTORY).content.decode())
    return [int(job) for job in found]


def test_events_from_before_a_restore_are_listed(
    client: Client, ada: Bot, olga: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "GAP_MIN", 2 * events.NEWEST_LISTED)
    monkeypatch.setattr(site, "GAP_MAX", 2 * events.NEWEST_LISTED + 1)
    client.force_login(olga)
    before = take_one(ada)
    lifecycle.cancel([before.id], by=By.operator(olga))
    site.declare()
    after = take_one(ada)
    lifecycle.cancel([after.id], by=By.operator(olga))
    assert listed(client) == [after.id, before.id]


def test_no_more_than_the_newest_are_listed(
    client: Client, ada: Bot, olga: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "NEWEST_LISTED", 2)
    client.force_login(olga)
    lease = take_one(ada)
    lifecycle.release([lease.id], by=By.operator(olga), reason="first")
    for reason in ("second", "third"):
        lifecycle.claim(ada)
        lifecycle.release([lease.id], by=By.operator(olga), reason=reason)
    page = client.get(HISTORY).content.decode()
    assert "third" in page and "second" in page and "first" not in page
