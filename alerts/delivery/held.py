"""Notifications that are held back after a restore, until an operator says that they may go.

A restored database sends what the one it was made of would have sent: each test of a restore would wake people. Until
then they stay in the outbox.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from alerts.models import Delivery
from alerts.states import DeliveryStatus
from bots import audit
from bots.acts import Act
from bots.audit import Subject, Who
from jobsite.lib import site


@dataclass(frozen=True)
class Held:
    """Since when notifications are held back, and how many wait."""

    since: datetime
    waiting: int

    def __str__(self) -> str:
        since = f"{self.since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        return f"held back since {since}, after a restore or a promotion: {self.waiting} waiting"


#: What to do about it.
COMMAND = "If this is production, run `manage.py after_restore --send-alerts`."


def held() -> Held | None:
    """None when notifications are sent as usual."""
    _, since = site.state()
    return None if since is None else Held(since, _waiting().count())


def send(*, by: Who) -> Held | None:
    """Let notifications go from now on. Returns what was held back; None when nothing was.

    Time that they were held does not count against them. Those that are no longer true are dropped, as always.
    """
    with transaction.atomic():
        since = site.send_alerts()
        if since is None:
            return None
        _waiting().filter(tries__gt=0).update(tries=0, first_tried_at=None, due_at=Now())
        held_back = Subject("alerts", "", "alerts held back", {"held_since": since.isoformat()}, {"held_since": None})
        audit.record(Act.SEND, [held_back], by=by)
    return Held(since, _waiting().count())


def _waiting() -> QuerySet[Delivery]:
    return Delivery.objects.filter(status=DeliveryStatus.WAITING)
