"""What is written to the outbox, for whom, and what of it is still true when its turn comes."""

import uuid
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from alerts.delivery import channels, outbox
from alerts.delivery.outbox import Ready, Skipped, enqueue_notifications, enqueue_reminders
from alerts.models import Channel, Delivery, Incident
from alerts.states import DeliveryStatus, Moment, Severity
from bots.audit import Via, Who
from bots.models import AuditEntry
from tests.far_side import a_channel, an_incident, changed, resolved

pytestmark = pytest.mark.django_db

ADDRESS = "https://hooks.example.org/x"
OLGA = Who("olga", Via.CONSOLE)


@pytest.fixture
def channel() -> Channel:
    return a_channel(ADDRESS)


def turn(channel: Channel) -> tuple[Ready | None, Skipped]:
    """What a sender that takes the channel now gets first, and what it passes over."""
    me, passed = uuid.uuid4(), Skipped()
    assert channels.claim(channel.pk, me)
    ready = outbox.next_of(channel.pk, me, passed)
    channels.release(channel.pk, me)
    return ready, passed


def send_next(channel: Channel) -> Moment | None:
    """Let the channel's next message arrive; what it was for the receiver."""
    ready, _ = turn(channel)
    if ready is None:
        return None
    outbox.record_sent(ready, "200 OK")
    return ready.moment


def test_each_channel_that_wants_it_gets_one_row(channel: Channel) -> None:
    a_channel(ADDRESS, name="second")
    a_channel(ADDRESS, name="off", enabled=False)
    assert enqueue_notifications(an_incident("ada"), Moment.OPENED) == 2
    assert {row.channel.name for row in Delivery.objects.all()} == {"on call", "second"}


def test_one_state_is_sent_once_however_often_it_is_enqueued(channel: Channel) -> None:
    incident = an_incident("ada")
    assert enqueue_notifications(incident, Moment.OPENED) == 1
    assert enqueue_notifications(incident, Moment.OPENED) == 0
    assert enqueue_notifications(changed(incident), Moment.WORSE) == 1
    assert Delivery.objects.count() == 2


def test_what_a_transaction_takes_back_is_not_told(channel: Channel) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        enqueue_notifications(an_incident("ada"), Moment.OPENED)
        raise RuntimeError
    assert not Delivery.objects.exists()


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, True),
        ({"min_severity": Severity.CRITICAL}, False),
        ({"kinds": ["sum", "divide"]}, True),
        ({"kinds": ["divide"]}, False),
        ({"bots": ["bob"]}, True),
        ({"bots": ["carl"]}, False),
        ({"kinds": ["sum"], "bots": ["carl"]}, False),
    ],
)
def test_filters_let_through_what_they_name(filters: dict[str, object], wanted: bool) -> None:
    a_channel(ADDRESS, **filters)
    assert enqueue_notifications(an_incident("ada", "bob"), Moment.OPENED) == wanted


def test_an_incident_that_turns_critical_opens_for_a_channel_that_hears_only_of_those() -> None:
    channel = a_channel(ADDRESS, min_severity=Severity.CRITICAL)
    incident = an_incident("ada")
    assert enqueue_notifications(incident, Moment.OPENED) == 0
    assert enqueue_notifications(changed(incident, severity=Severity.CRITICAL), Moment.WORSE) == 1
    assert send_next(channel) == Moment.OPENED


def test_after_ten_minutes_means_ten_minutes_after_it_opened() -> None:
    channel = a_channel(ADDRESS, after=timedelta(minutes=10))
    incident = an_incident("ada", opened_at=timezone.now() - timedelta(minutes=4))
    enqueue_notifications(incident, Moment.OPENED)
    assert Delivery.objects.get().due_at == incident.opened_at + timedelta(minutes=10)
    assert turn(channel) == (None, Skipped())
    older = an_incident("ada", about="older", opened_at=timezone.now() - timedelta(minutes=11))
    enqueue_notifications(older, Moment.OPENED)
    ready, _ = turn(channel)
    assert ready is not None and ready.delivery.incident == older


def test_who_was_to_hear_of_it_later_never_hears_of_an_incident_that_is_over_by_then() -> None:
    channel = a_channel(ADDRESS, after=timedelta(minutes=10))
    incident = an_incident("ada")
    enqueue_notifications(incident, Moment.OPENED)
    enqueue_notifications(resolved(incident), Moment.RESOLVED)
    Delivery.objects.update(due_at=timezone.now())
    assert turn(channel) == (None, Skipped(dropped=2))
    assert {row.outcome for row in Delivery.objects.all()} == {
        "The incident is resolved.",
        "Resolved before this channel was notified.",
    }


def test_after_ten_minutes_counts_from_its_return_for_an_incident_that_came_back() -> None:
    channel = a_channel(ADDRESS, after=timedelta(minutes=10))
    now = timezone.now()
    incident = an_incident("ada", opened_at=now - timedelta(minutes=40), back_at=now - timedelta(minutes=4))
    enqueue_notifications(incident, Moment.OPENED)
    enqueue_notifications(changed(incident), Moment.WORSE)
    assert {row.due_at for row in Delivery.objects.all()} == {now + timedelta(minutes=6)}
    assert turn(channel) == (None, Skipped())


def test_who_was_not_told_that_it_came_back_is_not_told_again_that_it_is_over(channel: Channel) -> None:
    incident = an_incident("ada")
    enqueue_notifications(incident, Moment.OPENED)
    send_next(channel)
    enqueue_notifications(resolved(incident), Moment.RESOLVED)
    assert send_next(channel) == Moment.RESOLVED
    Channel.objects.update(after=timedelta(minutes=10))
    enqueue_notifications(changed(incident, resolved_at=None, back_at=timezone.now()), Moment.OPENED)
    assert send_next(channel) is None
    enqueue_notifications(resolved(incident), Moment.RESOLVED)
    assert turn(channel) == (None, Skipped(dropped=1))


def test_who_was_told_that_it_came_back_is_told_again_that_it_is_over(channel: Channel) -> None:
    incident = an_incident("ada")
    story = []
    for change, moment in [
        (lambda: incident, Moment.OPENED),
        (lambda: resolved(incident), Moment.RESOLVED),
        (lambda: changed(incident, resolved_at=None, back_at=timezone.now()), Moment.OPENED),
        (lambda: resolved(incident), Moment.RESOLVED),
    ]:
        enqueue_notifications(change(), moment)
        story.append(send_next(channel))
    assert story == [Moment.OPENED, Moment.RESOLVED, Moment.OPENED, Moment.RESOLVED]


def test_who_may_not_have_heard_of_its_first_end_is_told_of_the_second(channel: Channel) -> None:
    """In doubt a story ends twice: the try to tell of the first end got no answer, and may have been lost."""
    incident = an_incident("ada")
    enqueue_notifications(incident, Moment.OPENED)
    send_next(channel)
    enqueue_notifications(resolved(incident), Moment.RESOLVED)
    ready, _ = turn(channel)
    assert ready is not None and ready.moment == Moment.RESOLVED
    outbox.record_failed(ready, "no answer", unsure=True)
    Channel.objects.update(after=timedelta(minutes=10))
    enqueue_notifications(changed(incident, resolved_at=None, back_at=timezone.now()), Moment.OPENED)
    enqueue_notifications(resolved(incident), Moment.RESOLVED)
    assert send_next(channel) == Moment.RESOLVED
    # The first one is still to be tried again, and says less.
    Delivery.objects.filter(status=DeliveryStatus.WAITING).update(due_at=timezone.now())
    assert send_next(channel) is None
    outcomes = Delivery.objects.filter(moment=Moment.RESOLVED).order_by("state").values_list("status", "outcome")
    assert list(outcomes) == [("dropped", "A later notification replaces it."), ("sent", "200 OK")]


def test_of_two_ends_that_wait_the_later_one_is_told(channel: Channel) -> None:
    incident = an_incident("ada")
    enqueue_notifications(incident, Moment.OPENED)
    send_next(channel)
    enqueue_notifications(resolved(incident), Moment.RESOLVED)
    enqueue_notifications(changed(incident, resolved_at=None, back_at=timezone.now()), Moment.OPENED)
    enqueue_notifications(resolved(incident), Moment.RESOLVED)
    ready, passed = turn(channel)
    assert ready is not None
    assert (ready.moment, ready.delivery.state, passed) == (Moment.RESOLVED, 4, Skipped(dropped=2))


def test_what_gets_worse_after_a_return_that_was_not_told_opens_for_the_channel(channel: Channel) -> None:
    incident = an_incident("ada")
    enqueue_notifications(incident, Moment.OPENED)
    send_next(channel)
    enqueue_notifications(resolved(incident), Moment.RESOLVED)
    send_next(channel)
    enqueue_notifications(changed(incident, resolved_at=None, back_at=timezone.now()), Moment.OPENED)
    enqueue_notifications(changed(incident), Moment.WORSE)
    assert send_next(channel) == Moment.OPENED


def test_who_heard_of_it_hears_that_it_is_over_once(channel: Channel) -> None:
    incident = an_incident("ada")
    enqueue_notifications(incident, Moment.OPENED)
    assert send_next(channel) == Moment.OPENED
    enqueue_notifications(resolved(incident), Moment.RESOLVED)
    enqueue_notifications(incident, Moment.RESOLVED)
    assert send_next(channel) == Moment.RESOLVED
    assert send_next(channel) is None


def test_an_end_that_was_none_is_not_told(channel: Channel) -> None:
    incident = an_incident("ada")
    enqueue_notifications(incident, Moment.OPENED)
    send_next(channel)
    enqueue_notifications(resolved(incident), Moment.RESOLVED)
    enqueue_notifications(changed(incident, resolved_at=None), Moment.OPENED)
    ready, passed = turn(channel)
    assert ready is not None
    assert (ready.delivery.state, ready.moment, passed) == (3, Moment.OPENED, Skipped(dropped=1))
    assert Delivery.objects.get(moment=Moment.RESOLVED).outcome == "Not resolved: the incident reopened."


def test_the_end_is_told_to_who_heard_of_it_whatever_the_filters_say_by_then(channel: Channel) -> None:
    incident = an_incident("ada")
    enqueue_notifications(incident, Moment.OPENED)
    send_next(channel)
    Channel.objects.update(kinds=["divide"])
    assert enqueue_notifications(resolved(incident), Moment.RESOLVED) == 1


def test_a_channel_that_is_new_since_hears_nothing_of_the_end(channel: Channel) -> None:
    incident = an_incident("ada")
    enqueue_notifications(incident, Moment.OPENED)
    a_channel(ADDRESS, name="new since")
    assert enqueue_notifications(resolved(incident), Moment.RESOLVED) == 1


def test_only_the_latest_state_is_told(channel: Channel) -> None:
    incident = an_incident("ada")
    enqueue_notifications(incident, Moment.OPENED)
    enqueue_notifications(changed(incident), Moment.WORSE)
    enqueue_notifications(changed(incident), Moment.WORSE)
    ready, passed = turn(channel)
    assert ready is not None
    assert (ready.delivery.state, ready.moment, passed) == (3, Moment.OPENED, Skipped(dropped=2))


def test_a_message_that_may_have_arrived_counts_as_heard(channel: Channel) -> None:
    """Its sender died, or no answer came: better to end a story that nobody heard than to leave one open."""
    incident = an_incident("ada")
    enqueue_notifications(incident, Moment.OPENED)
    ready, _ = turn(channel)
    assert ready is not None and ready.moment == Moment.OPENED
    enqueue_notifications(resolved(incident), Moment.RESOLVED)
    assert send_next(channel) == Moment.RESOLVED
    first = Delivery.objects.get(moment=Moment.OPENED)
    assert (first.status, first.unsure) == (DeliveryStatus.DROPPED, True)


def test_a_message_that_surely_did_not_arrive_does_not(channel: Channel) -> None:
    incident = an_incident("ada")
    enqueue_notifications(incident, Moment.OPENED)
    ready, _ = turn(channel)
    assert ready is not None
    outbox.record_failed(ready, "connection refused", unsure=False)
    enqueue_notifications(resolved(incident), Moment.RESOLVED)
    assert send_next(channel) is None


def test_a_message_that_may_have_arrived_counts_as_heard_though_a_later_try_surely_failed(channel: Channel) -> None:
    incident = an_incident("ada")
    enqueue_notifications(incident, Moment.OPENED)
    for outcome, unsure in (("no answer", True), ("connection refused", False)):
        ready, _ = turn(channel)
        assert ready is not None
        outbox.record_failed(ready, outcome, unsure=unsure)
        Delivery.objects.update(due_at=timezone.now())
    assert Delivery.objects.get().unsure
    enqueue_notifications(resolved(incident), Moment.RESOLVED)
    assert send_next(channel) == Moment.RESOLVED


# --- Reminders ---------------------------------------------------------------------------------------------------


@pytest.fixture
def reminded() -> Channel:
    return a_channel(ADDRESS, again_every=timedelta(hours=1))


def told_long_ago(channel: Channel) -> Incident:
    incident = an_incident("ada")
    enqueue_notifications(incident, Moment.OPENED)
    send_next(channel)
    Delivery.objects.update(sent_at=timezone.now() - timedelta(minutes=61))
    return incident


def test_it_is_told_again_and_again_until_it_is_acknowledged(reminded: Channel) -> None:
    incident = told_long_ago(reminded)
    for number in (1, 2):
        assert enqueue_reminders() == 1
        # Not before that one was sent.
        assert enqueue_reminders() == 0
        assert send_next(reminded) == Moment.AGAIN
        assert Delivery.objects.filter(moment=Moment.AGAIN).count() == number
        Delivery.objects.update(sent_at=timezone.now() - timedelta(minutes=61))
    Incident.objects.filter(pk=incident.pk).update(acknowledged_at=timezone.now())
    assert enqueue_reminders() == 0


def test_nothing_is_told_again_before_its_time(reminded: Channel) -> None:
    told_long_ago(reminded)
    Delivery.objects.update(sent_at=timezone.now() - timedelta(minutes=59))
    assert enqueue_reminders() == 0


def test_nothing_is_told_again_to_who_did_not_ask_for_it(channel: Channel) -> None:
    told_long_ago(channel)
    assert enqueue_reminders() == 0


def test_a_reminder_that_was_overtaken_is_dropped(reminded: Channel) -> None:
    incident = told_long_ago(reminded)
    enqueue_reminders()
    Incident.objects.filter(pk=incident.pk).update(acknowledged_at=timezone.now())
    assert turn(reminded) == (None, Skipped(dropped=1))


# --- Giving up, and trying again ---------------------------------------------------------------------------------


def test_a_message_is_given_up_after_a_day_of_trying(channel: Channel) -> None:
    enqueue_notifications(an_incident("ada"), Moment.OPENED)
    ready, _ = turn(channel)
    assert ready is not None
    assert not outbox.record_failed(ready, "no", unsure=False)
    long_ago = timezone.now() - timedelta(hours=24, seconds=1)
    Delivery.objects.update(first_tried_at=long_ago, due_at=timezone.now())
    ready, _ = turn(channel)
    assert ready is not None
    assert outbox.record_failed(ready, "no", unsure=False)
    row = Delivery.objects.get()
    assert (row.status, row.tries, row.error) == (DeliveryStatus.GIVEN_UP, 2, "no")


def test_what_was_given_up_can_be_tried_again(channel: Channel) -> None:
    enqueue_notifications(an_incident("ada"), Moment.OPENED)
    Delivery.objects.update(status=DeliveryStatus.GIVEN_UP, tries=9, first_tried_at=timezone.now())
    assert outbox.retry(Delivery.objects.all(), by=OLGA) == 1
    assert send_next(channel) == Moment.OPENED
    assert outbox.retry(Delivery.objects.all(), by=OLGA) == 0
    assert [(entry.verb, entry.by) for entry in AuditEntry.objects.all()] == [("retry", "olga")]


# --- Senders -----------------------------------------------------------------------------------------------------


def test_a_channel_has_one_sender_at_a_time_and_is_free_again_when_that_one_is_silent(channel: Channel) -> None:
    one, two = uuid.uuid4(), uuid.uuid4()
    enqueue_notifications(an_incident("ada"), Moment.OPENED)
    assert channels.claim(channel.pk, one)
    assert not channels.claim(channel.pk, two)
    assert channels.with_due_deliveries() == []
    Channel.objects.update(sender_until=timezone.now() - timedelta(seconds=1))
    assert channels.with_due_deliveries() == [channel.pk]
    assert channels.claim(channel.pk, two)
    assert outbox.next_of(channel.pk, one, Skipped()) is None
    assert outbox.next_of(channel.pk, two, Skipped()) is not None


def test_channels_that_fail_come_after_those_that_are_well() -> None:
    first, second, third = (a_channel(ADDRESS, name=name) for name in ("first", "second", "third"))
    enqueue_notifications(an_incident("ada"), Moment.OPENED)
    now = timezone.now()
    for minutes, channel in enumerate((first, second, third)):
        Delivery.objects.filter(channel=channel).update(due_at=now - timedelta(minutes=9 - minutes))
    Channel.objects.filter(pk=first.pk).update(failing_since=now)
    assert channels.with_due_deliveries() == [second.pk, third.pk, first.pk]
