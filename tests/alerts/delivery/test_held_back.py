"""After a restore nothing is sent until an operator says so, and nothing is lost."""

import io
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from alerts.delivery import dispatch, held, outbox
from alerts.models import Delivery
from alerts.states import DeliveryStatus, Moment
from bots.audit import Who
from jobsite.lib import site
from jobsite.models import Site
from tests.far_side import Receiver, a_channel, an_incident, resolved
from tests.restoring import restored, short_gap  # noqa: F401

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("short_gap", "inside_allowed")]


@pytest.fixture
def waiting(receiver: Receiver) -> Delivery:
    """A notification that is due."""
    a_channel(receiver.url())
    outbox.enqueue_notifications(an_incident("ada"), Moment.OPENED)
    return Delivery.objects.get()


def test_nothing_is_sent_after_a_restore(waiting: Delivery, receiver: Receiver) -> None:
    restored()
    sent = dispatch.send_due()
    assert receiver.got == []
    assert (sent.sent, sent.all_held and sent.all_held.waiting) == (0, 1)
    waiting.refresh_from_db()
    assert (waiting.status, waiting.tries) == (DeliveryStatus.WAITING, 0)


def test_a_sender_that_is_at_work_when_the_database_is_restored_stops(waiting: Delivery, receiver: Receiver) -> None:
    outbox.enqueue_notifications(an_incident("bob", about="mail"), Moment.OPENED)

    def answer(got: Any) -> tuple[int, bytes, dict[str, str]]:
        return 200, b"ok", {}

    real = outbox.record_sent

    def restore_after(*arguments: Any) -> None:
        real(*arguments)
        restored()

    receiver.answer = answer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outbox, "record_sent", restore_after)
        assert dispatch.send_due().sent == 1
    assert len(receiver.got) == 1
    assert Delivery.objects.filter(status=DeliveryStatus.WAITING).count() == 1


def test_the_sender_itself_notices_a_restore(waiting: Delivery, receiver: Receiver) -> None:
    site.compare_now()
    Site.objects.update(timeline=7)
    dispatch.send_due()
    assert receiver.got == []


def test_what_waited_is_sent_when_an_operator_says_so(waiting: Delivery, receiver: Receiver) -> None:
    restored()
    assert held.send(by=Who("olga"))
    assert dispatch.send_due().sent == 1
    assert len(receiver.got) == 1


def test_what_is_no_longer_true_by_then_is_not_sent(waiting: Delivery, receiver: Receiver) -> None:
    restored()
    resolved(waiting.incident)
    held.send(by=Who("olga"))
    assert dispatch.send_due().dropped == 1
    assert receiver.got == []


def test_the_time_it_was_held_does_not_count_against_it(waiting: Delivery, receiver: Receiver) -> None:
    long_ago = timezone.now() - timedelta(days=3)
    Delivery.objects.update(tries=5, first_tried_at=long_ago, due_at=timezone.now() + timedelta(hours=1))
    restored()
    held.send(by=Who("olga"))
    receiver.answer = (500, b"no", {})
    assert dispatch.send_due().failed == 1
    assert Delivery.objects.get().status == DeliveryStatus.WAITING


def test_no_reminder_is_written_while_they_are_held(waiting: Delivery, receiver: Receiver) -> None:
    dispatch.send_due()
    waiting.channel.again_every = timedelta(minutes=1)
    waiting.channel.save()
    Delivery.objects.update(sent_at=timezone.now() - timedelta(hours=1))
    restored()
    assert dispatch.send_due().reminders == 0
    assert Delivery.objects.count() == 1


@pytest.mark.parametrize("command", ["send_alerts", "sweep_stuck"])
def test_each_run_says_that_they_are_held(waiting: Delivery, command: str) -> None:
    restored()
    errors = io.StringIO()
    call_command(command, stdout=io.StringIO(), stderr=errors)
    assert "Alerts are held back since" in errors.getvalue()
    assert "If this is production, run `manage.py after_restore --send-alerts`." in errors.getvalue()


def test_a_test_of_a_channel_is_sent_all_the_same(waiting: Delivery, receiver: Receiver) -> None:
    restored()
    assert dispatch.send_test(waiting.channel, "olga").ok
    assert len(receiver.got) == 1


# --- In the console -----------------------------------------------------------------------------------------------


@pytest.fixture
def olgas(client: Client, olga: User) -> Client:
    client.force_login(olga)
    return client


SEND = "/admin/alerts/delivery/send-held/"


def test_home_says_that_they_are_held_and_how_many_wait(olgas: Client, waiting: Delivery) -> None:
    assert "Alerts are held back" not in olgas.get("/admin/").content.decode()
    restored()
    page = olgas.get("/admin/").content.decode()
    assert "Alerts are held back" in page
    assert f'href="{SEND}"' in page
    assert "Alerts are held back since" in olgas.get("/admin/alerts/delivery/").content.decode()


def test_an_operator_confirms_and_they_go(olgas: Client, waiting: Delivery, caplog: pytest.LogCaptureFixture) -> None:
    restored()
    assert "Send them only if this is production." in olgas.get(SEND).content.decode()
    assert site.state()[1] is not None
    answer = olgas.post(SEND, follow=True)
    assert "Alerts are sent again." in answer.content.decode()
    assert site.state()[1] is None


def test_who_says_so_is_logged(
    olgas: Client, waiting: Delivery, caplog: pytest.LogCaptureFixture, django_capture_on_commit_callbacks: Any
) -> None:
    restored()
    with django_capture_on_commit_callbacks(execute=True):
        olgas.post(SEND)
    assert "send of alerts held back by olga" in caplog.text


def test_where_nothing_is_held_there_is_nothing_to_confirm(olgas: Client, waiting: Delivery) -> None:
    assert "Alerts are sent as usual." in olgas.get(SEND).content.decode()
    assert "Alerts were not held back." in olgas.post(SEND, follow=True).content.decode()


def test_whoever_may_only_look_sees_it_and_may_not_send(client: Client, vera: User, waiting: Delivery) -> None:
    restored()
    client.force_login(vera)
    page = client.get("/admin/").content.decode()
    assert "Alerts are held back" in page and SEND not in page
    assert client.get(SEND).status_code == 403
    assert client.post(SEND).status_code == 403
    assert site.state()[1] is not None
