"""Incidents that were over long ago go with all that belongs to them, and nothing else does."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from alerts.delivery import outbox
from alerts.incidents import retention
from alerts.models import Channel, Delivery, Incident, IncidentBot, IncidentNote
from alerts.states import DeliveryStatus, Moment
from tests.cast import enqueue_one
from tests.far_side import a_channel, an_incident, changed
from tests.race import racers

pytestmark = pytest.mark.django_db

ADDRESS = "https://hooks.example.org/x"


@pytest.fixture(autouse=True)
def ninety_days(settings: Any) -> None:
    settings.INCIDENTS_KEPT = timedelta(days=90)


def over(days: float, name: str = "ada") -> Incident:
    """An incident that resolved so long ago, with a bot and a note."""
    now = timezone.now()
    ended = {"opened_at": now - timedelta(days=days, hours=1), "resolved_at": now - timedelta(days=days)}
    incident = an_incident(name, about=f"{name} {days}", **ended)
    IncidentNote.objects.create(incident=incident, text="Opened.")
    return incident


def left() -> set[Incident]:
    return set(Incident.objects.all())


def test_what_was_over_long_ago_goes_with_all_that_belongs_to_it() -> None:
    a_channel(ADDRESS)
    old, young = over(91), over(89)
    for incident in (old, young):
        outbox.enqueue_notifications(incident, Moment.OPENED)
    Delivery.objects.update(status=DeliveryStatus.SENT, sent_at=timezone.now())
    assert retention.prune() == 1
    assert left() == {young}
    for model in (IncidentBot, IncidentNote, Delivery):
        assert {row.incident_id for row in model.objects.all()} == {young.pk}
    assert Channel.objects.count() == 1
    assert retention.prune() == 0


def test_what_is_open_stays_however_old_it_is() -> None:
    old = over(400)
    changed(old, resolved_at=None)
    assert retention.prune() == 0
    assert left() == {old}


def test_what_a_channel_is_still_to_be_told_of_stays() -> None:
    channel = a_channel(ADDRESS)
    old = over(91)
    outbox.enqueue_notifications(old, Moment.OPENED)
    assert retention.prune() == 0
    # It is in no use any more: nobody will be told.
    Channel.objects.filter(pk=channel.pk).update(enabled=False)
    assert retention.prune() == 1


@pytest.mark.parametrize("status", [DeliveryStatus.SENT, DeliveryStatus.DROPPED, DeliveryStatus.GIVEN_UP])
def test_what_was_told_or_given_up_keeps_nothing(status: DeliveryStatus) -> None:
    a_channel(ADDRESS)
    outbox.enqueue_notifications(over(91), Moment.OPENED)
    Delivery.objects.update(status=status)
    assert retention.prune() == 1


def test_nought_days_keep_everything(settings: Any) -> None:
    settings.INCIDENTS_KEPT = timedelta(0)
    over(4000)
    assert retention.prune() == 0


def test_what_may_come_back_stays(settings: Any) -> None:
    settings.INCIDENT_REOPEN_WITHIN = timedelta(days=100)
    over(95)
    assert retention.prune() == 0


def test_one_sweep_takes_the_oldest_and_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "MAX_PER_SWEEP", 2)
    youngest, _, _ = over(91), over(93), over(92)
    assert retention.prune() == 2
    assert left() == {youngest}


@pytest.mark.django_db(transaction=True)
def test_two_at_once_do_not_wait_for_each_other_and_take_each_once() -> None:
    for n in range(20):
        over(91 + n)
    with racers() as run:
        done = [run.go(retention.prune) for _ in range(3)]
        counts = [one.result(60) for one in done]
    assert sum(counts) + retention.prune() == 20
    assert not left()


def test_it_costs_what_goes_and_not_what_is_there() -> None:
    now = timezone.now()
    Incident.objects.bulk_create(
        Incident(cause="stuck", about=f"{n}", severity="warning", title="x", resolved_at=now) for n in range(5000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE alerts_incident")
        with CaptureQueriesContext(connection) as queries:
            retention.prune()
        (asked,) = (query["sql"] for query in queries if query["sql"].startswith("SELECT"))
        cursor.execute("EXPLAIN " + asked)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "incident_resolved" in plan
    assert "Seq Scan on alerts_incident" not in plan


def test_a_full_sweep_prunes_and_one_of_a_kind_or_a_dry_run_does_not() -> None:
    enqueue_one(kind="sum")
    over(91)
    call_command("sweep_stuck", dry_run=True, stdout=StringIO())
    call_command("sweep_stuck", kind="sum", stdout=StringIO())
    assert len(left()) == 1
    call_command("sweep_stuck", stdout=StringIO())
    assert not left()
