"""Sending to real receivers: what arrives, what is tried again, and that no channel waits for another."""

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from standardwebhooks import Webhook

from alerts.delivery import dispatch, outbox, timing
from alerts.delivery.dispatch import send_due
from alerts.models import Channel, Delivery
from alerts.states import DeliveryStatus, Moment, Severity
from bots.models import Bot
from jobs import lifecycle
from jobs.lifecycle import By
from tests.cast import take_one
from tests.far_side import Got, Mailbox, Receiver, a_channel, an_incident, changed, resolved, stuck_with
from tests.race import racers

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("inside_allowed")]


def told(*bots: str, **fields: Any) -> Delivery:
    """The row of an incident that has just opened."""
    outbox.enqueue_notifications(an_incident(*(bots or ("ada",)), **fields), Moment.OPENED)
    return Delivery.objects.earliest("pk")


def test_mail_arrives_with_subject_text_links_and_a_message_id_of_its_own(
    mailbox: Mailbox, settings: Any, ada: Bot, bob: Bot
) -> None:
    settings.SITE_URL = "https://jobs.example.org"
    a_channel(mailbox.url())
    lease = take_one(ada)
    outbox.enqueue_notifications(
        changed(stuck_with(lease, take_one(bob)), title="2 bots are stuck on sum jobs"), Moment.OPENED
    )
    row = Delivery.objects.get()
    assert send_due().counts() == {"reminders": 0, "sent": 1, "failed": 0, "given_up": 0, "dropped": 0, "held": 0}
    (mail,) = mailbox.mails
    assert mail["Subject"] == "OPENED, warning: 2 bots are stuck on sum jobs"
    assert mail["To"] == "ops@example.org"
    assert mail["Message-ID"] == f"<{row.uid}@127.0.0.1>"
    text = mail.get_body(("plain", "html")).get_content()  # type: ignore[union-attr]
    assert "silent for 6 m 10 s, limit 2 m" in text
    assert f"https://jobs.example.org/admin/jobs/job/{lease.id}/release/" in text
    row.refresh_from_db()
    assert (row.status, row.tries, row.error) == (DeliveryStatus.SENT, 1, "")


def test_a_refused_mail_is_tried_again_with_the_servers_own_words(mailbox: Mailbox) -> None:
    mailbox.reply = "554 5.7.1 we do not like jobs"
    a_channel(mailbox.url())
    row = told()
    assert send_due().failed == 1
    row.refresh_from_db()
    assert "5.7.1 we do not like jobs" in row.error
    assert (row.status, row.unsure) == (DeliveryStatus.WAITING, False)
    channel = Channel.objects.get()
    assert (channel.failures, channel.last_error) == (1, row.error)
    # The next try goes through, and all is well.
    mailbox.reply = "250 OK: kept"
    Delivery.objects.update(due_at=timezone.now())
    assert send_due().sent == 1
    channel.refresh_from_db()
    assert (channel.failures, channel.failing_since, channel.last_error) == (0, None, "")
    assert len(mailbox.mails) == 1


def test_apprise_reaches_a_json_receiver_with_the_messages_name_in_a_header(receiver: Receiver) -> None:
    a_channel(receiver.url(scheme="json"))
    row = told()
    assert send_due().sent == 1
    (got,) = receiver.got
    said = json.loads(got.body)
    assert (said["title"], said["type"]) == ("OPENED, warning: 1 bots are stuck on sum jobs", "warning")
    assert f"Delivery {row.uid}" in said["message"]
    assert got.headers["Jobsite-Delivery"] == str(row.uid)
    row.refresh_from_db()
    assert row.outcome == "200 OK: ok"


def test_apprise_reaches_a_chat(receiver: Receiver) -> None:
    a_channel(receiver.url("/3ccdd113474722377935511fc85d3dd4", scheme="mmost"))
    told()
    assert send_due().sent == 1
    (got,) = receiver.got
    assert got.path == "/hooks/3ccdd113474722377935511fc85d3dd4"
    assert "1 bots are stuck on sum jobs" in json.loads(got.body)["text"]


def test_a_webhook_is_signed_json(receiver: Receiver) -> None:
    channel = a_channel(receiver.url())
    row = told("ada")
    assert send_due().sent == 1
    (got,) = receiver.got
    body = Webhook(channel.secret).verify(got.body, dict(got.headers))
    assert body["id"] == got.headers["webhook-id"] == str(row.uid)
    assert (body["moment"], body["incident"]["title"]) == ("opened", row.incident.title)
    assert [bot["name"] for bot in body["bots"]] == ["ada"]
    assert not {"Jobsite-Signature", "Jobsite-Timestamp", "Jobsite-Delivery"} & set(got.headers)


def test_a_secret_of_before_signs_as_before_until_it_is_rotated(receiver: Receiver, admin_client: Client) -> None:
    channel = a_channel(receiver.url(), secret="of-before-9cVhqZ")
    row = told("ada")
    assert send_due().sent == 1
    (got,) = receiver.got
    stamp = got.headers["Jobsite-Timestamp"]
    signed = hmac.new(b"of-before-9cVhqZ", f"{stamp}.".encode() + got.body, hashlib.sha256).hexdigest()
    assert got.headers["Jobsite-Signature"] == f"v1={signed}"
    assert abs(timezone.now().timestamp() - int(stamp)) < 300
    assert json.loads(got.body)["id"] == got.headers["Jobsite-Delivery"] == str(row.uid)
    assert "webhook-signature" not in got.headers

    page = f"/admin/alerts/channel/{channel.pk}/"
    assert "Jobsite-Signature, until" in admin_client.get(f"{page}change/").content.decode()
    admin_client.post(f"{page}secret/")
    channel.refresh_from_db()
    assert "Jobsite-Signature, until" not in admin_client.get(f"{page}change/").content.decode()
    outbox.enqueue_notifications(an_incident("ada", about="other"), Moment.OPENED)
    assert send_due().sent == 1
    Webhook(channel.secret).verify(receiver.got[1].body, dict(receiver.got[1].headers))


def test_a_job_given_back_before_the_message_goes_has_no_link_to_release(
    receiver: Receiver, mailbox: Mailbox, ada: Bot, olga: User
) -> None:
    a_channel(receiver.url())
    a_channel(mailbox.url(), name="mail")
    lease = take_one(ada)
    outbox.enqueue_notifications(stuck_with(lease), Moment.OPENED)
    lifecycle.release([lease.id], by=By.operator(olga))
    assert send_due().sent == 2
    (bot,) = json.loads(receiver.got[0].body)["bots"]
    assert (bot["job_url"], bot["release_url"]) == (f"/admin/jobs/job/{lease.id}/change/", "")
    text = mailbox.mails[0].get_body(("plain", "html")).get_content()  # type: ignore[union-attr]
    assert f"/admin/jobs/job/{lease.id}/change/" in text
    assert "/release/" not in text


def test_a_webhook_that_answers_anything_but_2xx_has_failed(receiver: Receiver) -> None:
    channel = a_channel(receiver.url("/hook-abcdef123456"))
    receiver.answer = (500, f"no: /hook-abcdef123456 {channel.secret} ".encode() + b"x" * 9000, {})
    row = told()
    assert send_due().failed == 1
    row.refresh_from_db()
    assert row.error.startswith("500 Internal Server Error: no: /**** **** xxx")
    assert len(row.error) == 200


def test_a_repeat_has_the_same_name_and_a_new_signature(receiver: Receiver) -> None:
    a_channel(receiver.url())
    receiver.answer = (503, b"later", {})
    told()
    send_due()
    receiver.answer = (204, b"", {})
    Delivery.objects.update(due_at=timezone.now())
    send_due()
    first, second = receiver.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert json.loads(first.body) == json.loads(second.body)


def test_a_story_is_told_from_its_beginning_to_its_end(receiver: Receiver) -> None:
    a_channel(receiver.url(scheme="json"))
    incident = an_incident("ada")
    for moment, change in [(Moment.OPENED, None), (Moment.WORSE, changed), (Moment.RESOLVED, resolved)]:
        outbox.enqueue_notifications(change(incident) if change else incident, moment)
        send_due()
    said = [json.loads(got.body) for got in receiver.got]
    assert [one["title"].split(":")[0] for one in said] == ["OPENED, warning", "WORSE, warning", "RESOLVED"]
    assert [one["type"] for one in said] == ["warning", "warning", "success"]
    assert send_due().sent == 0


def test_a_critical_incident_looks_like_a_failure(receiver: Receiver) -> None:
    a_channel(receiver.url(scheme="json"))
    told(severity=Severity.CRITICAL)
    send_due()
    assert json.loads(receiver.got[0].body)["type"] == "failure"


def test_a_receiver_that_never_answers_holds_up_no_other(
    receiver: Receiver, another_receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alerts.delivery.process.SEND_WITHIN", timedelta(seconds=6))
    dead, well = a_channel(receiver.url(), name="dead"), a_channel(another_receiver.url(), name="well")
    order: list[str] = []
    another_receiver.answer = lambda got: (order.append("well"), (200, b"", {}))[1]
    receiver.never_answers()
    for name in ("first", "second", "third"):
        outbox.enqueue_notifications(an_incident("ada", about=name), Moment.OPENED)
    sent = send_due()
    assert (sent.sent, sent.failed) == (3, 1)
    assert sent.errors == [("dead", "No answer within 6 seconds.")]
    # The dead one was tried once, and the rest of its messages waits for another pass.
    assert len(receiver.got) == 1
    assert dead.deliveries.filter(status=DeliveryStatus.WAITING).count() == 3
    assert not well.deliveries.exclude(status=DeliveryStatus.SENT).exists()
    # It may have arrived, for all we know.
    assert dead.deliveries.get(tries=1).unsure
    dead.refresh_from_db()
    assert (dead.sender, dead.sender_until) == (None, None)


def test_a_far_side_that_is_not_there_is_an_error_in_words(unused_port: int) -> None:
    a_channel(f"http://127.0.0.1:{unused_port}/hook")
    row = told()
    send_due()
    row.refresh_from_db()
    assert row.error == "Could not connect: Connection refused"
    assert not row.unsure
    Channel.objects.update(way="apprise", address=f"json://127.0.0.1:{unused_port}/hook")
    Delivery.objects.update(due_at=timezone.now())
    send_due()
    row.refresh_from_db()
    assert row.error.endswith("Could not connect: Connection refused")
    assert (row.tries, row.unsure) == (2, False)


def test_an_answer_that_breaks_off_may_have_arrived(receiver: Receiver) -> None:
    a_channel(receiver.url())
    receiver.answer = lambda got: None
    row = told()
    send_due()
    row.refresh_from_db()
    assert (row.unsure, row.status) == (True, DeliveryStatus.WAITING)


def test_each_failure_puts_the_next_try_off_for_longer(unused_port: int) -> None:
    a_channel(f"http://127.0.0.1:{unused_port}/")
    row = told()
    before = timezone.now()
    send_due()
    row.refresh_from_db()
    assert row.due_at > before + timing.FIRST_PAUSE * 0.75
    assert send_due().failed == 0
    pauses = [timing.pause(tries, 0.5) for tries in range(1, 9)]
    assert pauses == [timedelta(seconds=30 * factor) for factor in (1, 2, 4, 8, 16, 30, 30, 30)]
    assert timing.pause(1000, 0.999) <= timing.LONGEST_PAUSE * 1.25
    assert timing.pause(1, 0.0) == timing.FIRST_PAUSE * 0.75


def test_the_senders_lease_outlives_the_longest_try() -> None:
    assert timing.SENDER_LEASE > timing.SEND_WITHIN


@pytest.mark.django_db(transaction=True)
def test_senders_at_once_share_the_work_and_send_nothing_twice(receiver: Receiver) -> None:
    for number in range(4):
        a_channel(receiver.url(f"/{number}"), name=f"channel {number}")
    for number in range(3):
        outbox.enqueue_notifications(an_incident("ada", about=f"{number}"), Moment.OPENED)
    with racers() as run:
        done = [run.go(send_due) for _ in range(3)]
        counts = [one.result(60).sent for one in done]
    # What a sender has left to another is sent by that one, or is due still.
    left = send_due().sent
    assert sum(counts) + left == 12
    names = [got.headers["webhook-id"] for got in receiver.got]
    assert len(names) == len(set(names)) == 12


def test_in_one_channel_messages_come_in_the_order_they_happened(receiver: Receiver) -> None:
    a_channel(receiver.url())
    for number in range(5):
        outbox.enqueue_notifications(an_incident("ada", about=f"{number}", title=f"number {number}"), Moment.OPENED)
    send_due()
    titles = [json.loads(got.body)["incident"]["title"] for got in receiver.got]
    assert titles == [f"number {number}" for number in range(5)]


# --- Send a test --------------------------------------------------------------------------------------------------


def test_a_test_says_that_it_is_one_and_brings_back_the_answer(receiver: Receiver) -> None:
    channel = a_channel(receiver.url())
    receiver.answer = (202, b"thank you", {})
    answer = dispatch.send_test(channel, "olga")
    assert (answer.ok, answer.detail) == (True, "202 Accepted: thank you")
    said = json.loads(receiver.got[0].body)
    assert (said["test"], said["incident"]["id"]) == (True, 0)
    channel.refresh_from_db()
    assert channel.state == "well"


def test_a_test_that_fails_brings_back_why_without_secrets(receiver: Receiver) -> None:
    channel = a_channel(receiver.url("/x?token=zq8rkx2vlm5t", scheme="json"))

    def echo(got: Got) -> tuple[int, bytes, dict[str, str]]:
        return 403, f"bad token zq8rkx2vlm5t in {got.path}".encode(), {}

    receiver.answer = echo
    answer = dispatch.send_test(channel, "olga")
    assert not answer.ok
    assert "403 Forbidden: bad token ****" in answer.detail
    channel.refresh_from_db()
    assert (channel.state, channel.last_error) == ("failing", answer.detail)
    assert "zq8" not in answer.detail
