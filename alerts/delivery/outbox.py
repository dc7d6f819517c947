"""The outbox: what is to be told to whom. Rows are written in the transaction that changed the incident.

A row is about one state of an incident and is told at most one way: it is sent, dropped because it is not true any
more, or given up. Sending is in `alerts.delivery.dispatch`; here is what may be sent, and the memory of what was.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Max, Q, QuerySet, Value
from django.db.models.functions import Coalesce, Now

from alerts.delivery import channels, messages, timing
from alerts.models import Channel, Delivery, Incident
from alerts.states import DeliveryStatus, Moment, Severity

WAITING, SENT = DeliveryStatus.WAITING, DeliveryStatus.SENT


# --- What is to be told --------------------------------------------------------------------------------------------


def tell(incident: Incident, moment: Moment) -> int:
    """Put a message about this incident as it is now into the outbox, for each channel that wants it. Returns how many.

    Call it in the transaction that changed the incident. Once for one state and moment, however often it is called.
    """
    fresh = Incident.objects.annotate(now=Now()).get(pk=incident.pk)
    now: datetime = fresh.now
    message = messages.of(fresh, moment, now)
    since = fresh.back_at or fresh.opened_at
    rows = [
        Delivery(
            channel=channel,
            incident=fresh,
            moment=moment,
            state=fresh.state,
            message=message,
            due_at=now if moment == Moment.RESOLVED else max(now, since + channel.after),
        )
        for channel in _audience(fresh, moment)
    ]
    return _add(rows)


def remind() -> int:
    """Write the reminders that are due: of what is open, unacknowledged and was told of long ago. Returns how many."""
    told = (
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
    for row in told:
        incident = Incident.objects.get(pk=row["incident"])
        rows.append(
            Delivery(
                channel_id=row["channel"],
                incident=incident,
                moment=Moment.AGAIN,
                state=incident.state,
                round=(row["before"] or 0) + 1,
                message=messages.of(incident, Moment.AGAIN, row["now"]),
            )
        )
    return _add(rows)


def _audience(incident: Incident, moment: Moment) -> list[Channel]:
    enabled = Channel.objects.filter(enabled=True)
    if moment == Moment.RESOLVED:
        # Who has heard of it, or is about to; whether it is told then is decided when it is sent.
        heard = Delivery.objects.filter(incident=incident).exclude(status=DeliveryStatus.DROPPED)
        return list(enabled.filter(pk__in=heard.values("channel")))
    bots = set(incident.bots.filter(until=None).values_list("name", flat=True))
    return [channel for channel in enabled if _wants(channel, incident, bots)]


def _wants(channel: Channel, incident: Incident, bots: set[str]) -> bool:
    """Whether the channel's filters let this incident through. An empty filter lets everything through."""
    order = list(Severity)
    return (
        order.index(Severity(incident.severity)) >= order.index(Severity(channel.min_severity))
        and (not channel.kinds or incident.kind in channel.kinds)
        and (not channel.bots or bool(bots.intersection(channel.bots)))
    )


def _add(rows: list[Delivery]) -> int:
    """Insert those that are not there yet. Returns how many."""
    if not rows:
        return 0
    ours = Delivery.objects.filter(uid__in=[row.uid for row in rows])
    Delivery.objects.bulk_create(rows, ignore_conflicts=True)
    return ours.count()


# --- What may be sent, when its turn has come -----------------------------------------------------------------------


@dataclass
class Passed:
    """What became of messages without being sent."""

    dropped: int = 0
    held: int = 0


@dataclass(frozen=True)
class Ready:
    """A message that is to be sent now; its row says so already."""

    delivery: Delivery
    channel: Channel
    #: What it is for this receiver, who may have missed what came before.
    moment: Moment


def next_of(channel: int, sender: UUID, passed: Passed) -> Ready | None:
    """The channel's next message that is due and true, marked as being tried. None: nothing, or not ours any more.

    Messages that are not true any more are dropped, those in quiet hours put off. One short transaction for each.
    """
    while True:
        with transaction.atomic():
            mine = Channel.objects.select_for_update(no_key=True).annotate(now=Now())
            owner = mine.filter(pk=channel, sender=sender, enabled=True).first()
            if owner is None:
                return None
            row = channels.due_deliveries().filter(channel=owner).select_related("incident").order_by("pk").first()
            if row is None:
                return None
            why = _untrue(row)
            if why:
                _close(row, DeliveryStatus.DROPPED, outcome=why)
                passed.dropped += 1
                continue
            until = _quiet(owner, row.incident, owner.now)
            if until is not None:
                Delivery.objects.filter(pk=row.pk).update(due_at=until, outcome="Waits for the end of quiet hours.")
                passed.held += 1
                continue
            _begin(row)
            owner.sender_until = owner.now + timing.LEASE
            Channel.objects.filter(pk=owner.pk).update(sender_until=owner.sender_until)
            return Ready(row, owner, _moment_for(row))


def _untrue(row: Delivery) -> str:
    """Why this message is not to be told, or is told better by a later one; empty when it is to be told."""
    incident = row.incident
    later = _of_this_story(row).filter(state__gt=row.state).exclude(status=DeliveryStatus.DROPPED)
    if row.moment == Moment.RESOLVED:
        if incident.resolved_at is None:
            return "It is not over: it came back."
        if later.filter(moment=Moment.RESOLVED).exists():
            return "A later message says more."
        return "" if _believes_open(row) else "It was over before this channel had heard of it."
    if incident.resolved_at is not None:
        return "It is over."
    if later.exists():
        return "A later message says more."
    if row.moment == Moment.AGAIN and incident.acknowledged_at is not None:
        return "It was acknowledged."
    return ""


def _of_this_story(row: Delivery) -> QuerySet[Delivery]:
    """The other messages about the same incident for the same channel."""
    return Delivery.objects.filter(channel=row.channel_id, incident=row.incident_id).exclude(pk=row.pk)


def _believes_open(row: Delivery) -> bool:
    """Whether the channel's last word on this incident, this message aside, is or may be that it is open.

    In doubt it is: better to end a story twice than never. So a try that was begun and not recorded counts for what
    says that it is open, and only what has surely arrived for what says that it is over.
    """
    ends = _of_this_story(row).filter(moment=Moment.RESOLVED, status=SENT).aggregate(state=Max("state"))
    told = _of_this_story(row).exclude(moment=Moment.RESOLVED).filter(state__gt=ends["state"] or 0)
    return told.filter(Q(status=SENT) | Q(unsure=True) | Q(trying_since__isnull=False)).exists()


def _moment_for(row: Delivery) -> Moment:
    moment = Moment(row.moment)
    return Moment.OPENED if moment == Moment.WORSE and not _believes_open(row) else moment


def _quiet(channel: Channel, incident: Incident, now: datetime) -> datetime | None:
    if channel.critical_breaks_quiet and incident.severity == Severity.CRITICAL and incident.resolved_at is None:
        return None
    return timing.quiet_until(now, channel.quiet_from, channel.quiet_until, ZoneInfo(settings.TIME_ZONE))


# --- What became of it ------------------------------------------------------------------------------------------------


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


def sent(ready: Ready, said: str) -> None:
    """The far side has it. `said`: what it answered, masked."""
    with transaction.atomic():
        Delivery.objects.filter(pk=ready.delivery.pk).update(
            status=SENT, sent_at=Now(), trying_since=None, error="", outcome=said
        )
        channels.well(ready.channel)


def failed(ready: Ready, said: str, *, unsure: bool) -> bool:
    """It did not go. It is tried again after a pause, or given up; returns whether it was. `said` is masked."""
    row = ready.delivery
    with transaction.atomic():
        first = Delivery.objects.annotate(now=Now()).get(pk=row.pk)
        over: bool = first.now - (first.first_tried_at or first.now) >= timing.GIVE_UP_AFTER
        Delivery.objects.filter(pk=row.pk, status=WAITING).update(
            status=DeliveryStatus.GIVEN_UP if over else WAITING,
            due_at=Now() + timing.pause(row.tries),
            trying_since=None,
            unsure=Value(first.unsure or unsure),
            error=said,
        )
        channels.unwell(ready.channel, said)
    return over


def retry(deliveries: QuerySet[Delivery]) -> int:
    """Try those that were given up again, as if for the first time. Returns how many."""
    return deliveries.filter(status=DeliveryStatus.GIVEN_UP).update(
        status=WAITING, due_at=Now(), tries=0, first_tried_at=None, outcome="", error=""
    )
