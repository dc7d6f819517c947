"""A channel that has sent is retired and not deleted: it is out of use for ever, and its history stays."""

import pytest
from django.contrib.auth.models import Permission, User
from django.db import IntegrityError, transaction
from django.test import Client

from alerts.delivery import channels, outbox
from alerts.models import Channel, Delivery
from alerts.states import DeliveryStatus, Moment
from bots.audit import Who
from bots.models import AuditEntry
from tests.alerts.passing import an_incident
from tests.far_side import a_channel

pytestmark = pytest.mark.django_db


@pytest.fixture
def used(db: None) -> Channel:
    """A channel with one delivery that was sent and one that waits."""
    channel = a_channel("http://127.0.0.1/secret-path")
    for state, status in ((1, DeliveryStatus.SENT), (2, DeliveryStatus.WAITING)):
        fields = {"moment": Moment.OPENED, "state": state, "status": status}
        Delivery.objects.create(channel=channel, incident=an_incident(), **fields)
    return channel


def page(channel: Channel, part: str = "change") -> str:
    return f"/admin/alerts/channel/{channel.pk}/{part}/"


def test_a_retired_channel_sends_nothing_and_keeps_its_deliveries(client: Client, olga: User, used: Channel) -> None:
    client.force_login(olga)
    assert "Nothing is sent to" in client.get(page(used, "retire")).content.decode()
    assert client.post(page(used, "retire"), follow=True).status_code == 200
    used.refresh_from_db()
    assert (used.enabled, used.address, used.secret, used.state) == (False, "", "", "retired")
    assert list(used.deliveries.order_by("state").values_list("status", flat=True)) == ["sent", "dropped"]
    assert not outbox.enqueue_notifications(an_incident(), Moment.OPENED)
    entry = AuditEntry.objects.get(verb="retire")
    assert (entry.by, entry.object_name) == ("olga", "on call")
    assert "secret-path" not in str(entry.before)
    shown = client.get(page(used))
    assert shown.status_code == 200 and "Send a test" not in shown.content.decode()


def test_a_retired_channel_is_not_used_again(client: Client, olga: User, used: Channel) -> None:
    assert channels.retire(used, by=Who("olga"))
    assert not channels.retire(used, by=Who("olga"))
    client.force_login(olga)
    assert client.post(page(used), {"name": "on call", "enabled": "on"}).status_code == 403
    assert client.post(page(used, "test")).status_code == 404
    assert client.post(page(used, "secret")).status_code == 403
    with pytest.raises(IntegrityError), transaction.atomic():
        Channel.objects.filter(pk=used.pk).update(enabled=True)
    assert AuditEntry.objects.filter(verb="retire").count() == 1


def test_who_may_retire_and_what_may_be_deleted(client: Client, olga: User, vera: User, used: Channel) -> None:
    client.force_login(vera)
    assert client.post(page(used, "retire")).status_code == 403
    client.force_login(olga)
    assert client.post(page(used, "delete"), {"post": "yes"}).status_code == 403
    new = a_channel("http://127.0.0.1/", name="never sent")
    assert client.post(page(new, "delete"), {"post": "yes"}).status_code == 302
    olga.user_permissions.remove(Permission.objects.get(codename="delete_channel"))
    assert client.post(page(used, "retire")).status_code == 403
    assert Channel.objects.get() == used
