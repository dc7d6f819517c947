"""Share channels among senders: find those with due deliveries, claim them, and record their state."""

from uuid import UUID

from django.db.models import F, Max, Min, Q, QuerySet
from django.db.models.functions import Coalesce, Now

from alerts.delivery import timing
from alerts.models import Channel, Delivery
from alerts.states import DeliveryStatus


def due_deliveries() -> QuerySet[Delivery]:
    """Waiting deliveries that are due now, on enabled channels."""
    return Delivery.objects.filter(status=DeliveryStatus.WAITING, due_at__lte=Now(), channel__enabled=True)


def with_due_deliveries() -> list[int]:
    """Return unclaimed channels with due deliveries: working ones before failing ones, the longest due first."""
    due = (
        due_deliveries()
        .filter(_free())
        .values("channel")
        .annotate(oldest=Min("due_at"), failing=Max("channel__failing_since"))
    )
    rows = due.order_by("oldest", "channel")
    # Few channels are sent to at once, so those that may time out come last. The sort is stable.
    return [row["channel"] for row in sorted(rows, key=lambda row: row["failing"] is not None)]


def claim(channel: int, sender: UUID) -> bool:
    """Claim the channel for this sender and `timing.SENDER_LEASE`. False if another sender has it."""
    free = Channel.objects.filter(_free(""), pk=channel, enabled=True)
    return bool(free.update(sender=sender, sender_until=Now() + timing.SENDER_LEASE))


def release(channel: int, sender: UUID) -> None:
    """Release the channel for other senders."""
    Channel.objects.filter(pk=channel, sender=sender).update(sender=None, sender_until=None)


def record_success(channel: Channel) -> None:
    """Record that a delivery arrived."""
    Channel.objects.filter(pk=channel.pk).update(sent_at=Now(), failing_since=None, failures=0, last_error="")


def record_failure(channel: Channel, error: str) -> None:
    """Record that a delivery failed. `error`: masked."""
    Channel.objects.filter(pk=channel.pk).update(
        failing_since=Coalesce("failing_since", Now()), failures=F("failures") + 1, last_error=error
    )


def reset_after_new_address(channel: Channel) -> None:
    """Forget the errors of the old address, and make waiting deliveries due now."""
    Channel.objects.filter(pk=channel.pk).update(failing_since=None, failures=0, last_error="")
    Delivery.objects.filter(channel=channel, status=DeliveryStatus.WAITING, tries__gt=0).update(due_at=Now())


def _free(through: str = "channel__") -> Q:
    return Q(**{f"{through}sender": None}) | Q(**{f"{through}sender_until__lt": Now()})
