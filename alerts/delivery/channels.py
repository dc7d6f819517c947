"""Share channels among senders, record their state, and take them out of use.

A sender never waits for a channel's row that somebody keeps locked: the other channels have deliveries, too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import structlog
from django.db import OperationalError, connection, transaction
from django.db.models import F, Max, Min, Q, QuerySet
from django.db.models.functions import Coalesce, Now
from psycopg.errors import LockNotAvailable

from alerts.delivery import timing
from alerts.models import Channel, Delivery, new_secret
from alerts.states import DeliveryStatus
from bots import audit
from bots.acts import Act
from bots.audit import Who
from jobsite.lib import refusals
from jobsite.lib.locks import Lock, wait_for_lock

log = structlog.stdlib.get_logger(__name__)

#: How long what is recorded of a channel waits for its row. A form that changes it takes milliseconds.
LOCK_TIMEOUT = "200ms"


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
    """Claim the channel for this sender and `timing.SENDER_LEASE`. False if another has it, or its row."""
    with transaction.atomic():
        rows = Channel.objects.select_for_update(no_key=True, skip_locked=True)
        if rows.filter(_free(""), pk=channel, enabled=True).first() is None:
            return False
        Channel.objects.filter(pk=channel).update(sender=sender, sender_until=Now() + timing.SENDER_LEASE)
    return True


def release(channel: int, sender: UUID) -> None:
    """Release the channel for other senders. One whose row is locked is free when its time is over."""
    with _unless_locked():
        Channel.objects.filter(pk=channel, sender=sender).update(sender=None, sender_until=None)


def record_success(channel: Channel) -> None:
    """Record that a delivery arrived."""
    with _unless_locked():
        Channel.objects.filter(pk=channel.pk).update(sent_at=Now(), failing_since=None, failures=0, last_error="")


def record_failure(channel: Channel, error: str) -> None:
    """Record that a delivery failed. `error`: masked."""
    with _unless_locked():
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


def unused(channels: QuerySet[Channel]) -> QuerySet[Channel]:
    """Those of these channels that have no delivery, and get none until the transaction ends."""
    # Who adds deliveries has this lock.
    wait_for_lock(Lock.RECONCILE)
    return channels.filter(deliveries=None)


@transaction.atomic
def delete_unused(channels: QuerySet[Channel]) -> None:
    """Delete those of these channels that have no delivery."""
    unused(channels).delete()


@contextmanager
def _unless_locked() -> Iterator[None]:
    """Do this, unless somebody keeps the channel's row locked: then nothing of it is done, and the sender goes on."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
            yield
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        log.warning(f"{refusals.locked_row(error.__cause__)} is locked: its state was not recorded")


def _free(through: str = "channel__") -> Q:
    return Q(**{f"{through}sender": None}) | Q(**{f"{through}sender_until__lt": Now()})
