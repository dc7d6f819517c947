"""Share channels among senders, record their state, and take them out of use."""

from uuid import UUID

from django.db import transaction
from django.db.models import F, Max, Min, Q, QuerySet
from django.db.models.functions import Coalesce, Now

from alerts.delivery import timing
from alerts.models import Channel, Delivery, new_secret
from alerts.states import DeliveryStatus
from bots import audit
from bots.acts import Act
from bots.audit import Who


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


@transaction.atomic
def rotate_secret(channel: Channel, *, by: Who) -> None:
    """Give the channel a new secret for its signatures."""
    before, channel.secret = channel.secret, new_secret()
    channel.save(update_fields=["secret"])
    audit.record(Act.ROTATE, [audit.subject(channel, {"secret": before}, {"secret": channel.secret})], by=by)


@transaction.atomic
def retire(channel: Channel, *, by: Who) -> bool:
    """Take the channel out of use for ever: its history stays, its address and secret go. False if it was before."""
    dropped = {"status": DeliveryStatus.DROPPED, "outcome": "The channel was retired."}
    before = {"enabled": channel.enabled, "address": channel.address, "secret": channel.secret}
    used = Channel.objects.filter(pk=channel.pk, retired_at=None)
    if not used.update(retired_at=Now(), enabled=False, address="", secret=""):
        return False
    Delivery.objects.filter(channel=channel, status=DeliveryStatus.WAITING).update(**dropped)
    audit.record(Act.RETIRE, [audit.subject(channel, before, {"enabled": False, "address": "", "secret": ""})], by=by)
    return True


def _free(through: str = "channel__") -> Q:
    return Q(**{f"{through}sender": None}) | Q(**{f"{through}sender_until__lt": Now()})
