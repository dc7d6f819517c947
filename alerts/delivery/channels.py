"""Channels between senders: which one has something to send, who has it, and whether messages come through."""

from uuid import UUID

from django.db.models import F, Max, Min, Q, QuerySet
from django.db.models.functions import Coalesce, Now

from alerts.delivery import timing
from alerts.models import Channel, Delivery
from alerts.states import DeliveryStatus


def due_deliveries() -> QuerySet[Delivery]:
    """What waits to be sent and may be sent now, on all channels in use."""
    return Delivery.objects.filter(status=DeliveryStatus.WAITING, due_at__lte=Now(), channel__enabled=True)


def with_due() -> list[int]:
    """Channels that have something to send now and that no sender has: well ones before failing, longest due first."""
    due = (
        due_deliveries()
        .filter(_free())
        .values("channel")
        .annotate(oldest=Min("due_at"), failing=Max("channel__failing_since"))
    )
    rows = due.order_by("oldest", "channel")
    # Places are few: whoever will perhaps not answer comes when the others are served. The sort is stable.
    return [row["channel"] for row in sorted(rows, key=lambda row: row["failing"] is not None)]


def take(channel: int, sender: UUID) -> bool:
    """This sender has the channel until `timing.LEASE` from now, unless another has it."""
    free = Channel.objects.filter(_free(""), pk=channel, enabled=True)
    return bool(free.update(sender=sender, sender_until=Now() + timing.LEASE))


def let_go(channel: int, sender: UUID) -> None:
    """Any sender may have it."""
    Channel.objects.filter(pk=channel, sender=sender).update(sender=None, sender_until=None)


def well(channel: Channel) -> None:
    """Something has come through to this channel."""
    Channel.objects.filter(pk=channel.pk).update(sent_at=Now(), failing_since=None, failures=0, last_error="")


def unwell(channel: Channel, said: str) -> None:
    """Something has not come through. `said` is masked."""
    Channel.objects.filter(pk=channel.pk).update(
        failing_since=Coalesce("failing_since", Now()), failures=F("failures") + 1, last_error=said
    )


def start_afresh(channel: Channel) -> None:
    """It has a new address: its troubles were the old one's, and what waits is due now."""
    Channel.objects.filter(pk=channel.pk).update(failing_since=None, failures=0, last_error="")
    Delivery.objects.filter(channel=channel, status=DeliveryStatus.WAITING, tries__gt=0).update(due_at=Now())


def _free(through: str = "channel__") -> Q:
    return Q(**{f"{through}sender": None}) | Q(**{f"{through}sender_until__lt": Now()})
