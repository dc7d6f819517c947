"""The outbox of notifications. Rows are written in the transaction that changed the incident.

A row is about one state of an incident. It is sent, dropped because it is no longer true, or given up. This module
decides what may be sent and records results; `alerts.delivery.dispatch` sends.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Max, Q, QuerySet, Value
from django.db.models.expressions import Case, When
from django.db.models.functions import Coalesce, Now

from alerts.delivery import channels, messages, timing
from alerts.models import Channel, Delivery, Incident
from alerts.states import DeliveryStatus, Moment, Severity
from bots import audit
from bots.acts import Act
from bots.audit import Who
from jobsite.lib import site

WAITING, SENT = DeliveryStatus.WAITING, DeliveryStatus.SENT


# --- Enqueue --------------------------------------------------------------------------------------------------------


def enqueue_notifications(incident: Incident, moment: Moment) -> int:
    """Enqueue a notification of this incident as it is now for each channel whose filters match. Returns their number.

    Call it in the transaction that changed the incident. Idempotent for one state and moment.
    """
    current = Incident.objects.annotate(now=Now()).get(pk=incident.pk)
    now: datetime = current.now
    message = messages.build(current, moment, now)
    since = current.back_at or current.opened_at
    rows = [
        Delivery(
            channel=channel,
            incident=current,
            moment=moment,
            state=current.state,
            message=message,
            due_at=now if moment == Moment.RESOLVED else max(now, since + channel.after),
        )
        for channel in _audience(current, moment)
    ]
    return _add(rows)


def enqueue_reminders() -> int:
    """Enqueue due reminders of open, unacknowledged incidents. Returns their number."""
    notified = (
        Delivery.objects.filter(
            channel__enabled=True,
            channel__again_every__isnull=False,
            incident__resolved_at=None,
            incident__acknowledged_at=None,
        )
        .values("channel", "incident")
        .annotate(
            last=Max("sent_at", filter=Q(status=SENT)),
            waiting=Count("pk", filter=Q(status=WAITING)),
            before=Max("round", filter=Q(moment=Moment.AGAIN)),
            now=Now(),
        )
        .filter(waiting=0, last__lte=Now() - F("channel__again_every"))
        .order_by("channel", "incident")
    )
    rows = []
    for row in notified:
        incident = Incident.objects.get(pk=row["incident"])
        rows.append(
            Delivery(
                channel_id=row["channel"],
                incident=incident,
                moment=Moment.AGAIN,
                state=incident.state,
                round=(row["before"] or 0) + 1,
                message=messages.build(incident, Moment.AGAIN, row["now"]),
            )
        )
    return _add(rows)


def _audience(incident: Incident, moment: Moment) -> list[Channel]:
    enabled = Channel.objects.filter(enabled=True)
    if moment == Moment.RESOLVED:
        # Channels with an earlier notification, sent or not yet. Whether to send is decided when it is due.
        earlier = Delivery.objects.filter(incident=incident).exclude(status=DeliveryStatus.DROPPED)
        return list(enabled.filter(pk__in=earlier.values("channel")))
    bots = set(incident.bots.filter(until=None).values_list("name", flat=True))
    return [channel for channel in enabled if _wants(channel, incident, bots)]


def _wants(channel: Channel, incident: Incident, bots: set[str]) -> bool:
    """Whether the channel's filters match this incident. An empty filter matches everything."""
    order = list(Severity)
    return (
        order.index(Severity(incident.severity)) >= order.index(Severity(channel.min_severity))
        and (not channel.kinds or not {incident.kind, *incident.kinds}.isdisjoint(channel.kinds))
        and (not channel.bots or bool(bots.intersection(channel.bots)))
    )


def _add(rows: list[Delivery]) -> int:
    """Insert rows that do not exist yet. Returns their number."""
    if not rows:
        return 0
    inserted = Delivery.objects.filter(uid__in=[row.uid for row in rows])
    Delivery.objects.bulk_create(rows, ignore_conflicts=True)
    return inserted.count()


#: The order in which a channel's due notifications are sent. Those of one incident stay in theirs.
URGENT_FIRST = Case(
    When(moment=Moment.AGAIN, then=Value(2)),
    When(incident__severity=Severity.CRITICAL, then=Value(0)),
    default=Value(1),
)


# --- Choose the next delivery ---------------------------------------------------------------------------------------


@dataclass
class Skipped:
    """Counts of deliveries that were dropped or put off."""

    dropped: int = 0
    held: int = 0


@dataclass(frozen=True)
class Ready:
    """A delivery to send now. Its row records the try already."""

    delivery: Delivery
    channel: Channel
    #: The moment as this channel sees it: it may have missed earlier notifications.
    moment: Moment


def next_of(channel: int, sender: UUID, skipped: Skipped) -> Ready | None:
    """Return the channel's next due and true delivery, and record that a try begins. None: none, or claim lost, or its
    row is locked, or all are held back.

    Drops deliveries that are no longer true, and puts off those in quiet hours. One short transaction for each.
    """
    while True:
        with transaction.atomic():
            rows = Channel.objects.select_for_update(no_key=True, skip_locked=True).annotate(now=Now())
            owner = rows.filter(pk=channel, sender=sender, enabled=True).first()
            if owner is None or site.state()[1] is not None:
                return None
            due = channels.due_deliveries().filter(channel=owner).select_related("incident")
            row = due.order_by(URGENT_FIRST, "pk").first()
            if row is None:
                return None
            why = _reason_to_drop(row)
            if why:
                _close(row, DeliveryStatus.DROPPED, outcome=why)
                skipped.dropped += 1
                continue
            until = _quiet(owner, row.incident, owner.now)
            if until is not None:
                Delivery.objects.filter(pk=row.pk).update(due_at=until, outcome="Waits for the end of quiet hours.")
                skipped.held += 1
                continue
            _begin(row)
            owner.sender_until = owner.now + timing.SENDER_LEASE
            Channel.objects.filter(pk=owner.pk).update(sender_until=owner.sender_until)
            return Ready(row, owner, _moment_for(row))


def _reason_to_drop(row: Delivery) -> str:
    """Why to drop this delivery: it is no longer true, or a later one replaces it. Empty: send it."""
    incident = row.incident
    later = _same_incident(row).filter(state__gt=row.state).exclude(status=DeliveryStatus.DROPPED)
    if row.moment == Moment.RESOLVED:
        if incident.resolved_at is None:
            return "Not resolved: the incident reopened."
        if later.filter(moment=Moment.RESOLVED).exists():
            return "A later notification replaces it."
        return "" if _believes_open(row) else "Resolved before this channel was notified."
    if incident.resolved_at is not None:
        return "The incident is resolved."
    if later.exists():
        return "A later notification replaces it."
    if row.moment == Moment.AGAIN and incident.acknowledged_at is not None:
        return "The incident was acknowledged."
    return ""


def _same_incident(row: Delivery) -> QuerySet[Delivery]:
    """The other deliveries about the same incident to the same channel."""
    return Delivery.objects.filter(channel=row.channel_id, incident=row.incident_id).exclude(pk=row.pk)


def _believes_open(row: Delivery) -> bool:
    """Whether, for this channel, the incident is open by the last notification that arrived or may have arrived.

    If in doubt it is: sending "resolved" twice is better than never. So unrecorded tries count for notifications that
    it is open, but only certain arrivals count for "resolved".
    """
    ends = _same_incident(row).filter(moment=Moment.RESOLVED, status=SENT).aggregate(state=Max("state"))
    opened = _same_incident(row).exclude(moment=Moment.RESOLVED).filter(state__gt=ends["state"] or 0)
    return opened.filter(Q(status=SENT) | Q(unsure=True) | Q(trying_since__isnull=False)).exists()


def _moment_for(row: Delivery) -> Moment:
    moment = Moment(row.moment)
    return Moment.OPENED if moment == Moment.WORSE and not _believes_open(row) else moment


def _quiet(channel: Channel, incident: Incident, now: datetime) -> datetime | None:
    if channel.critical_breaks_quiet and incident.severity == Severity.CRITICAL and incident.resolved_at is None:
        return None
    return timing.quiet_until(now, channel.quiet_from, channel.quiet_until, ZoneInfo(settings.TIME_ZONE))


# --- Record results -------------------------------------------------------------------------------------------------


def _begin(row: Delivery) -> None:
    row.tries += 1
    Delivery.objects.filter(pk=row.pk).update(
        tries=row.tries,
        unsure=Value(row.unsure or row.trying_since is not None),
        first_tried_at=Coalesce("first_tried_at", Now()),
        trying_since=Now(),
        outcome="",
    )


def _close(row: Delivery, status: DeliveryStatus, **fields: object) -> None:
    unsure = row.unsure or row.trying_since is not None
    Delivery.objects.filter(pk=row.pk, status=WAITING).update(
        status=status, trying_since=None, unsure=Value(unsure), **fields
    )


def record_sent(ready: Ready, answer: str) -> None:
    """Record that it arrived. `answer`: the receiver's, masked."""
    with transaction.atomic():
        Delivery.objects.filter(pk=ready.delivery.pk).update(
            status=SENT, sent_at=Now(), trying_since=None, error="", outcome=answer
        )
        channels.record_success(ready.channel)


def record_failed(ready: Ready, why: str, *, unsure: bool) -> bool:
    """Record a failed try. It is retried after a pause or given up; returns whether it was. `why`: masked."""
    row = ready.delivery
    with transaction.atomic():
        first = Delivery.objects.annotate(now=Now()).get(pk=row.pk)
        over: bool = first.now - (first.first_tried_at or first.now) >= timing.GIVE_UP_AFTER
        Delivery.objects.filter(pk=row.pk, status=WAITING).update(
            status=DeliveryStatus.GIVEN_UP if over else WAITING,
            due_at=Now() + timing.pause(row.tries),
            trying_since=None,
            unsure=Value(first.unsure or unsure),
            error=why,
        )
        channels.record_failure(ready.channel, why)
    return over


def retry(deliveries: QuerySet[Delivery], *, by: Who) -> int:
    """Make given-up deliveries due again, as if never tried. Returns their number."""
    with transaction.atomic():
        given_up = deliveries.filter(status=DeliveryStatus.GIVEN_UP).order_by("pk")
        rows = list(given_up.select_related("channel", "incident").select_for_update(no_key=True, of=("self",)))
        Delivery.objects.filter(pk__in=[row.pk for row in rows]).update(
            status=WAITING, due_at=Now(), tries=0, first_tried_at=None, outcome="", error=""
        )
        status = {"status": DeliveryStatus.GIVEN_UP}, {"status": WAITING}
        audit.record(Act.RETRY, [audit.subject(row, *status) for row in rows], by=by)
    return len(rows)
