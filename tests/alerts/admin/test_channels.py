"""Channels and deliveries in the admin: the form, a test, a secret, who may what, and that nothing leaks."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from alerts.delivery import outbox
from alerts.models import Channel, Delivery
from alerts.states import DeliveryStatus, Moment
from bots.models import AuditEntry
from tests.far_side import Receiver, a_channel, an_incident

pytestmark = pytest.mark.django_db

ADD = "/admin/alerts/channel/add/"
LIST = "/admin/alerts/channel/"
SECRET = "Zq8RkX2vLm5TyWc9"
FORM = {
    "name": "team chat", "way": "apprise", "address": f"gotify://8.8.8.8/{SECRET}", "enabled": "on",
    "min_severity": "warning", "kinds": "", "bots": "", "after": "0:00:00", "again_every": "", "quiet_from": "",
    "quiet_until": "", "critical_breaks_quiet": "on",
}  # fmt: skip


@pytest.fixture
def olgas(olga: User) -> Client:
    client = Client()
    client.force_login(olga)
    return client


@pytest.fixture
def veras(vera: User) -> Client:
    client = Client()
    client.force_login(vera)
    return client


def page(channel: Channel, part: str = "change") -> str:
    return f"/admin/alerts/channel/{channel.pk}/{part}/"


def recorded() -> str:
    """All that the audit log has, as text."""
    return " ".join(map(str, AuditEntry.objects.values_list()))


def test_a_channel_is_made_with_its_address_masked_wherever_it_is_shown(olgas: Client, veras: Client) -> None:
    response = olgas.post(ADD, FORM, follow=True)
    channel = Channel.objects.get()
    assert (channel.address, channel.shown) == (FORM["address"], "Gotify, gotify://8.8.8.8/…")
    pages = [response, *(c.get(url) for c in (olgas, veras) for url in (LIST, page(channel), page(channel, "history")))]
    pages.append(olgas.get(page(channel, "delete")))
    for shown in pages:
        assert shown.status_code == 200
        assert SECRET[:4] not in shown.content.decode()
        assert channel.secret not in shown.content.decode()
    assert "gotify://8.8.8.8/…" in pages[1].content.decode()
    assert SECRET not in f"{channel!r} {channel} " + recorded()


def test_an_empty_address_keeps_the_one_that_is_there(olgas: Client) -> None:
    olgas.post(ADD, FORM)
    channel = Channel.objects.get()
    response = olgas.post(page(channel), FORM | {"address": "", "name": "renamed", "kinds": "sum, divide"})
    assert response.status_code == 302
    channel.refresh_from_db()
    assert (channel.name, channel.address, channel.kinds) == ("renamed", FORM["address"], ["sum", "divide"])
    assert channel.shown == "Gotify, gotify://8.8.8.8/…"
    assert "address" not in AuditEntry.objects.latest("pk").after


def test_a_new_address_takes_the_place_of_the_old_and_of_its_troubles(olgas: Client) -> None:
    channel = a_channel(FORM["address"], name="team chat", last_error="no", failures=3)
    assert olgas.post(page(channel), FORM | {"address": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"})
    channel.refresh_from_db()
    assert channel.shown == "Slack, slack://…"
    assert (channel.last_error, channel.failures) == ("", 0)


def test_saving_does_not_take_back_what_a_sender_noted_meanwhile(olgas: Client, monkeypatch: Any) -> None:
    channel = a_channel(FORM["address"], name="team chat")
    from alerts.admin.channels import ChannelAdmin

    real = ChannelAdmin.save_model

    def later(self: Any, request: Any, obj: Channel, *rest: Any) -> None:
        Channel.objects.update(failures=7)
        real(self, request, obj, *rest)

    monkeypatch.setattr(ChannelAdmin, "save_model", later)
    olgas.post(page(channel), FORM | {"address": ""})
    channel.refresh_from_db()
    assert channel.failures == 7


@pytest.mark.parametrize(
    ("given", "field", "why"),
    [
        ({"address": ""}, "address", "Enter the address to send to."),
        ({"address": f"slack://{SECRET}"}, "address", "invalid Slack"),
        ({"address": f"json://127.0.0.1/{SECRET}"}, "address", "is inside the network"),
        ({"address": f"https://hooks.example.org/{SECRET}"}, "address", "not a valid address for https://"),
        ({"way": "webhook"}, "address", "begins with https://"),
        ({"quiet_from": "22:00"}, "quiet_until", "need a start and an end"),
        ({"quiet_from": "22:00", "quiet_until": "22:00"}, "quiet_until", "leave both empty"),
        ({"again_every": "0:00:10"}, "again_every", "greater than or equal to"),
        ({"after": "-1:00:00"}, "after", "greater than or equal to"),
    ],
)
def test_an_error_is_shown_beside_its_field_and_the_address_is_not_sent_back(
    olgas: Client, given: dict[str, str], field: str, why: str
) -> None:
    response = olgas.post(ADD, FORM | given)
    assert response.status_code == 200
    assert why in str(response.context["adminform"].form.errors[field])
    assert SECRET not in response.content.decode()
    assert "mailto://USER:PASSWORD@" in response.content.decode()
    assert not Channel.objects.exists()


def test_another_way_needs_another_address(olgas: Client) -> None:
    channel = a_channel(FORM["address"], name="team chat")
    response = olgas.post(page(channel), FORM | {"address": "", "way": "webhook"})
    assert "is for another type" in str(response.context["adminform"].form.errors["address"])


# --- Send a test --------------------------------------------------------------------------------------------------


def test_send_a_test_shows_what_the_far_side_answered(olgas: Client, receiver: Receiver, inside_allowed: None) -> None:
    channel = a_channel(receiver.url(f"/{SECRET}"))
    receiver.answer = (200, b"<b>kept</b>", {})
    text = olgas.post(page(channel, "test"), follow=True).content.decode()
    assert "The test was sent. 200 OK: &lt;b&gt;kept&lt;/b&gt;" in text
    receiver.answer = (410, f"gone: {SECRET}".encode(), {})
    text = olgas.post(page(channel, "test"), follow=True).content.decode()
    assert "The test was not sent. 410 Gone: gone: ****" in text
    assert SECRET not in text + recorded()
    assert len(receiver.got) == 2


def test_a_test_is_a_post_by_somebody_who_may(
    olgas: Client, veras: Client, receiver: Receiver, inside_allowed: None
) -> None:
    channel = a_channel(receiver.url())
    assert olgas.get(page(channel, "test")).status_code == 405
    assert veras.post(page(channel, "test")).status_code == 403
    form = "application/x-www-form-urlencoded"
    assert Client().post(page(channel, "test"), "", content_type=form).status_code == 302
    assert Client(enforce_csrf_checks=True).post(page(channel, "test")).status_code == 403
    assert olgas.post("/admin/alerts/channel/999/test/").status_code == 404
    assert receiver.got == []
    assert "Send a test" in olgas.get(page(channel)).content.decode()
    assert "Send a test" not in veras.get(page(channel)).content.decode()


# --- A webhook's secret -------------------------------------------------------------------------------------------


def test_a_webhooks_secret_is_shown_once_and_can_be_rotated(olgas: Client) -> None:
    made = olgas.post(ADD, FORM | {"way": "webhook", "address": "https://8.8.8.8/hook"})
    channel = Channel.objects.get()
    assert channel.secret in made.content.decode()
    assert made["Cache-Control"].startswith("no-store")
    before = channel.secret
    asked = olgas.get(page(channel, "secret"))
    assert before not in asked.content.decode()
    shown = olgas.post(page(channel, "secret"))
    channel.refresh_from_db()
    assert channel.secret != before
    assert channel.secret in shown.content.decode()
    assert shown["Cache-Control"].startswith("no-store")
    assert channel.secret not in olgas.get(page(channel)).content.decode()


def test_only_who_may_change_a_channel_may_rotate_its_secret(veras: Client, olgas: Client) -> None:
    channel = a_channel("https://8.8.8.8/hook")
    before = channel.secret
    assert veras.get(page(channel, "secret")).status_code == 403
    assert veras.post(page(channel, "secret")).status_code == 403
    channel.refresh_from_db()
    assert channel.secret == before
    assert olgas.get(page(a_channel("gotify://8.8.8.8/x", name="chat"), "secret")).status_code == 404


# --- Deliveries ---------------------------------------------------------------------------------------------------


@pytest.fixture
def given_up() -> Delivery:
    a_channel(FORM["address"])
    outbox.enqueue_notifications(an_incident("ada"), Moment.OPENED)
    Delivery.objects.update(status=DeliveryStatus.GIVEN_UP, error="410 Gone", tries=12)
    return Delivery.objects.get()


def test_what_was_given_up_is_sent_again_by_who_may(olgas: Client, veras: Client, given_up: Delivery) -> None:
    url = reverse("admin:alerts_delivery_changelist")
    asked = {"action": "retry", "_selected_action": [given_up.pk]}
    assert veras.post(url, asked).status_code == 403
    assert "1 delivery will be retried" in olgas.post(url, asked, follow=True).content.decode()
    given_up.refresh_from_db()
    assert (given_up.status, given_up.tries) == (DeliveryStatus.WAITING, 0)
    assert "None of these was given up" in olgas.post(url, asked, follow=True).content.decode()


def test_deliveries_are_read_and_never_edited(olgas: Client, given_up: Delivery, olga: User) -> None:
    olga.user_permissions.set(Permission.objects.all())
    url = reverse("admin:alerts_delivery_change", args=[given_up.pk])
    text = olgas.get(url).content.decode()
    assert "OPENED, warning: 1 bots are stuck on sum jobs" in text
    assert "410 Gone" in text
    assert olgas.post(url, {"status": "sent"}).status_code == 403
    assert olgas.get("/admin/alerts/delivery/add/").status_code == 403
    assert olgas.post(f"/admin/alerts/delivery/{given_up.pk}/delete/", {"post": "yes"}).status_code == 403
    listed = olgas.get("/admin/alerts/delivery/?status__exact=given_up").content.decode()
    assert "410 Gone" in listed


def test_the_list_costs_the_same_for_many_channels(olgas: Client, django_assert_max_num_queries: Any) -> None:
    for number in range(20):
        a_channel(FORM["address"], name=f"channel {number}")
    outbox.enqueue_notifications(an_incident("ada"), Moment.OPENED)
    for url in (LIST, "/admin/alerts/delivery/", page(Channel.objects.latest("pk"))):
        with django_assert_max_num_queries(12):
            assert olgas.get(url).status_code == 200
