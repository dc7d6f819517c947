"""Quiet hours: held back until they end, over midnight and when clocks change, and then only what is still true."""

import uuid
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from alerts.delivery import channels, outbox
from alerts.delivery.outbox import Skipped
from alerts.delivery.timing import quiet_until
from alerts.models import Channel, Delivery
from alerts.states import Moment, Severity
from tests.far_side import a_channel, an_incident, changed, resolved

VIENNA = ZoneInfo("Europe/Vienna")
NIGHT = (time(22), time(7))


def vienna(*parts: int, fold: int = 0) -> datetime:
    return datetime(*parts, tzinfo=VIENNA, fold=fold)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("now", "hours", "until"),
    [
        (vienna(2026, 6, 1, 12), NIGHT, None),
        (vienna(2026, 6, 1, 22), NIGHT, vienna(2026, 6, 2, 7)),
        (vienna(2026, 6, 2, 6, 59), NIGHT, vienna(2026, 6, 2, 7)),
        (vienna(2026, 6, 2, 7), NIGHT, None),
        (vienna(2026, 6, 1, 12), (time(12), time(13)), vienna(2026, 6, 1, 13)),
        (vienna(2026, 6, 1, 13), (time(12), time(13)), None),
        (vienna(2026, 6, 1, 12), (None, None), None),
        (vienna(2026, 6, 1, 12), (time(12), time(12)), None),
        # The night on which clocks go forward has one hour less, and the other one more.
        (vienna(2026, 3, 28, 23), NIGHT, datetime(2026, 3, 29, 5, tzinfo=UTC)),
        (vienna(2026, 10, 24, 23), NIGHT, datetime(2026, 10, 25, 6, tzinfo=UTC)),
        # Half past two does not come on that night: the quiet ends when the wall has passed it, at three.
        (vienna(2026, 3, 29, 1), (time(22), time(2, 30)), datetime(2026, 3, 29, 1, tzinfo=UTC)),
        # Half past two comes twice: the quiet ends at each, and between them the wall shows quiet again.
        (vienna(2026, 10, 25, 1), (time(22), time(2, 30)), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        (vienna(2026, 10, 25, 2, 10, fold=1), (time(22), time(2, 30)), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
    ],
)
def test_the_quiet_ends_when_the_wall_says_so(
    now: datetime, hours: tuple[time | None, time | None], until: datetime | None
) -> None:
    assert quiet_until(now, *hours, VIENNA) == (until and until.astimezone(UTC))
    if until is not None:
        assert until > now


@pytest.fixture
def night(db: None, settings: Any) -> Channel:
    """A channel for which it is night now, and for two hours more."""
    settings.TIME_ZONE = "Europe/Vienna"
    local = timezone.now().astimezone(VIENNA)
    hours = {
        "quiet_from": (local - timedelta(hours=1)).time().replace(microsecond=0),
        "quiet_until": (local + timedelta(hours=2)).time().replace(microsecond=0),
    }
    return a_channel("https://hooks.example.org/x", **hours)


def turn(channel: Channel) -> tuple[Moment | None, Skipped]:
    me, passed = uuid.uuid4(), Skipped()
    channels.claim(channel.pk, me)
    ready = outbox.next_of(channel.pk, me, passed)
    channels.release(channel.pk, me)
    return (ready and ready.moment), passed


def morning() -> None:
    """The night is over."""
    Channel.objects.update(quiet_from=None, quiet_until=None)
    Delivery.objects.update(due_at=timezone.now())


def test_a_message_waits_for_the_end_of_quiet_hours(night: Channel) -> None:
    outbox.enqueue_notifications(an_incident("ada"), Moment.OPENED)
    assert turn(night) == (None, Skipped(held=1))
    row = Delivery.objects.get()
    assert row.due_at.astimezone(VIENNA).time() == night.quiet_until
    assert row.due_at > timezone.now()
    assert channels.with_due_deliveries() == []
    morning()
    assert turn(night) == (Moment.OPENED, Skipped())


def test_in_the_morning_only_what_is_still_true_is_told_once_for_each_incident(night: Channel) -> None:
    over, goes_on = an_incident("ada", about="over"), an_incident("bob", about="goes on")
    for incident in (over, goes_on):
        outbox.enqueue_notifications(incident, Moment.OPENED)
    turn(night)
    outbox.enqueue_notifications(changed(goes_on), Moment.WORSE)
    outbox.enqueue_notifications(changed(goes_on), Moment.WORSE)
    outbox.enqueue_notifications(resolved(over), Moment.RESOLVED)
    # What is known to be needless already is not kept until the morning.
    assert turn(night) == (None, Skipped(dropped=2, held=1))
    morning()
    # Of five messages one is told: as an opening, for nothing was heard before.
    assert turn(night) == (Moment.OPENED, Skipped(dropped=2))
    assert Delivery.objects.get(tries=1).state == goes_on.state


def test_what_was_known_before_the_night_and_ended_in_it_is_told_in_the_morning(night: Channel) -> None:
    incident = an_incident("ada")
    outbox.enqueue_notifications(incident, Moment.OPENED)
    Delivery.objects.update(status="sent", sent_at=timezone.now())
    outbox.enqueue_notifications(resolved(incident), Moment.RESOLVED)
    assert turn(night) == (None, Skipped(held=1))
    morning()
    assert turn(night) == (Moment.RESOLVED, Skipped())


def test_what_is_critical_breaks_the_quiet_where_the_channel_says_so(night: Channel) -> None:
    outbox.enqueue_notifications(an_incident("ada", severity=Severity.CRITICAL), Moment.OPENED)
    assert turn(night)[0] == Moment.OPENED
    Channel.objects.update(critical_breaks_quiet=False)
    outbox.enqueue_notifications(an_incident("bob", about="another", severity=Severity.CRITICAL), Moment.OPENED)
    Delivery.objects.filter(tries=1).update(status="sent")
    assert turn(night) == (None, Skipped(held=1))
