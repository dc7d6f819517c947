"""A row of alerts that somebody keeps locked: what is about others goes on, and nothing is lost."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse

from alerts.delivery import outbox
from alerts.delivery.dispatch import send_due
from alerts.incidents import reconcile
from alerts.models import Channel, Delivery, Incident
from alerts.states import Cause, DeliveryStatus, Moment
from bots.models import AuditEntry, Bot
from jobs.sweep.run import sweep
from tests.cast import database_url, make_older, take_one
from tests.far_side import Receiver, a_channel, an_incident
from tests.race import PATIENCE, racers

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("inside_allowed")]


@contextmanager
def kept_locked(row: Any) -> Iterator[None]:
    """A forgotten session has this row."""
    with psycopg.connect(database_url()) as forgotten:
        forgotten.execute(f"SELECT FROM {row._meta.db_table} WHERE id = %s FOR UPDATE", [row.pk])
        yield
        forgotten.rollback()


def statuses() -> dict[str, str]:
    return dict(Delivery.objects.values_list("channel__name", "status"))


def test_the_other_channels_are_sent_to(receiver: Receiver, another_receiver: Receiver) -> None:
    locked = a_channel(receiver.url(), name="locked")
    a_channel(another_receiver.url(), name="free")
    outbox.enqueue_notifications(an_incident("ada"), Moment.OPENED)
    with kept_locked(locked):
        counts = send_due()
        assert (counts.sent, counts.failed, len(receiver.got)) == (1, 0, 0)
        assert statuses() == {"locked": DeliveryStatus.WAITING, "free": DeliveryStatus.SENT}
    assert send_due().sent == 1
    assert statuses() == {"locked": DeliveryStatus.SENT, "free": DeliveryStatus.SENT}


@pytest.mark.parametrize("answer", [200, 500])
def test_what_a_receiver_answered_is_recorded_though_its_channel_is_locked_by_then(
    receiver: Receiver, another_receiver: Receiver, answer: int
) -> None:
    channel = a_channel(receiver.url(), name="locked")
    a_channel(another_receiver.url(), name="free")
    outbox.enqueue_notifications(an_incident("ada"), Moment.OPENED)
    forgotten = psycopg.connect(database_url())

    def answers(got: Any) -> tuple[int, bytes, dict[str, str]]:
        forgotten.execute("SELECT FROM alerts_channel WHERE id = %s FOR UPDATE", [channel.pk])
        return answer, b"ok", {}

    receiver.answer = answers
    try:
        counts = send_due()
    finally:
        forgotten.close()
    assert (counts.sent, counts.failed) == ((2, 0) if answer == 200 else (1, 1))
    row = Delivery.objects.get(channel=channel)
    assert (row.status, row.tries, row.trying_since) == (
        (DeliveryStatus.SENT if answer == 200 else DeliveryStatus.WAITING), 1, None,
    )  # fmt: skip
    channel.refresh_from_db()
    assert (channel.sent_at, channel.failures) == (None, 0)


def test_incidents_open_and_notify_it_when_it_is_free_again(
    receiver: Receiver, another_receiver: Receiver, ada: Bot
) -> None:
    locked = a_channel(receiver.url(), name="locked")
    a_channel(another_receiver.url(), name="free")
    make_older(take_one(ada), 3)
    sweep()
    with kept_locked(locked):
        opened = reconcile.reconcile()
        assert opened is not None
        assert opened.opened == 1
        assert send_due().sent == 1
    assert send_due().sent == 1
    assert statuses() == {"locked": DeliveryStatus.SENT, "free": DeliveryStatus.SENT}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "LOCK_TIMEOUT", "100ms")


def test_an_incident_that_is_locked_stays_as_it_is_and_others_open(impatient: None, ada: Bot, bob: Bot) -> None:
    for bot, kind in ((ada, "sum"), (bob, "mail")):
        make_older(take_one(bot, kind=kind), 3)
    sweep()
    locked = an_incident("ada", cause=Cause.STUCK, about="sum", title="as it was")
    with kept_locked(locked):
        done = reconcile.reconcile()
        assert done is not None
        assert done.opened == 1
    assert sorted(Incident.objects.values_list("about", "title"))[1] == ("sum", "as it was")
    assert reconcile.reconcile().opened == 0  # type: ignore[union-attr]
    assert Incident.objects.open().count() == 2
    assert "as it was" not in Incident.objects.values_list("title", flat=True)


def test_a_locked_incident_that_no_sweep_runs_does_not_stop_the_sender(
    impatient: None, receiver: Receiver, settings: Any
) -> None:
    a_channel(receiver.url())
    locked = an_incident("ada", cause=Cause.UNSWEPT, about="")
    outbox.enqueue_notifications(locked, Moment.OPENED)
    with kept_locked(locked):
        assert reconcile.check_sweep_overdue() is not None
        assert send_due().sent == 1


def test_an_unused_channel_is_deleted_and_one_that_was_just_notified_is_not(client: Client, olga: User) -> None:
    client.force_login(olga)
    unused, used = a_channel("http://127.0.0.1/", name="unused"), a_channel("http://127.0.0.1/", name="used")
    form = {"action": "delete_selected", "_selected_action": [unused.pk, used.pk], "post": "yes"}
    with racers() as run, psycopg.connect(database_url()) as reconciling:
        # As a reconciliation does, which has not ended.
        reconciling.execute("SELECT pg_advisory_xact_lock(%s)", [int(reconcile.Lock.RECONCILE)])
        deleting = run.go_and_block(lambda: client.post(reverse("admin:alerts_channel_changelist"), form))
        incident = an_incident("ada")
        outbox._add([Delivery(channel=used, incident=incident, moment=Moment.OPENED, state=1)])
        reconciling.rollback()
        assert deleting.result(PATIENCE).status_code == 302
    assert list(Channel.objects.values_list("name", flat=True)) == ["used"]
    assert Delivery.objects.get().channel == used
    assert list(AuditEntry.objects.values_list("verb", "object_name")) == [("delete", "unused")]
    assert connection.connection is not None
