"""How many notifications a channel gets at once, and which come first."""

import json

import pytest

from alerts.delivery import outbox, timing
from alerts.delivery.dispatch import send_due
from alerts.models import Delivery
from alerts.states import DeliveryStatus, Moment, Severity
from tests.far_side import Receiver, a_channel, an_incident, resolved

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("inside_allowed")]


def opened(about: str, **fields: object) -> None:
    outbox.enqueue_notifications(an_incident(about=about, title=about, **fields), Moment.OPENED)


def titles(receiver: Receiver) -> list[str]:
    return [json.loads(got.body)["incident"]["title"] for got in receiver.got]


def test_one_run_sends_a_channel_so_many_and_the_next_the_rest(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "MAX_PER_RUN", 3)
    a_channel(receiver.url())
    for n in range(5):
        opened(f"k{n}")
    assert [send_due().sent for _ in range(3)] == [3, 2, 0]
    assert titles(receiver) == [f"k{n}" for n in range(5)]


def test_what_is_critical_passes_what_is_many(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "MAX_PER_RUN", 2)
    a_channel(receiver.url())
    for n in range(3):
        opened(f"k{n}")
    opened("fire", severity=Severity.CRITICAL)
    assert send_due().sent == 2
    assert titles(receiver) == ["fire", "k0"]


def test_what_is_over_before_its_turn_is_not_sent(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "MAX_PER_RUN", 1)
    a_channel(receiver.url())
    opened("k0")
    opened("k1")
    send_due()
    resolved(Delivery.objects.get(status=DeliveryStatus.WAITING).incident)
    assert (send_due().dropped, titles(receiver)) == (1, ["k0"])
