"""What needs a human (incidents), who is told (channels), and what is on its way to them (deliveries)."""

import secrets
import uuid
from datetime import timedelta

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import RandomUUID
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.expressions import Case, Value, When
from django.db.models.functions import Now

from alerts.states import Cause, DeliveryStatus, IncidentStatus, Moment, Severity, Way
from bots.models import NAME_LENGTH, Bot

#: What comes first in a list: what is open and nobody has taken on, what is open, the rest; critical before warning.
RANK = Case(
    When(resolved_at=None, acknowledged_at=None, severity=Severity.CRITICAL, then=Value(0)),
    When(resolved_at=None, acknowledged_at=None, then=Value(1)),
    When(resolved_at=None, severity=Severity.CRITICAL, then=Value(2)),
    When(resolved_at=None, then=Value(3)),
    default=Value(4),
)


class IncidentQuerySet(models.QuerySet["Incident"]):
    """Questions about incidents."""

    def open(self) -> "IncidentQuerySet":
        """Incidents whose cause is not gone, acknowledged or not."""
        return self.filter(resolved_at=None)

    def unacknowledged(self) -> "IncidentQuerySet":
        """Open incidents that nobody has taken on."""
        return self.of_status(IncidentStatus.OPEN)

    def of_status(self, status: IncidentStatus) -> "IncidentQuerySet":
        """Incidents that stand there."""
        if status == IncidentStatus.RESOLVED:
            return self.exclude(resolved_at=None)
        return self.open().filter(acknowledged_at__isnull=status == IncidentStatus.OPEN)

    def by_urgency(self) -> "IncidentQuerySet":
        """Each with its `rank`, 0 to 4, as `RANK` says; the newest first of each."""
        return self.annotate(rank=RANK).order_by("rank", "-opened_at", "-pk")


class Incident(models.Model):
    """Something that needs a human, from the moment it opened until it resolved. Written by `alerts.incidents`."""

    cause = models.CharField(max_length=20, choices=Cause)
    # What it is about, within its cause: a kind, or nothing where one incident is for the whole house. While it is open
    # there is no second one.
    about = models.CharField(max_length=NAME_LENGTH, blank=True, default="", db_default="")
    # The kind it concerns, where it concerns one; channels filter by it.
    kind = models.CharField(max_length=NAME_LENGTH, blank=True, default="", db_default="")
    severity = models.CharField(max_length=10, choices=Severity)
    #: One line: what. Changes as the incident does.
    title = models.CharField(max_length=300)
    #: Why, with the figures.
    reason = models.TextField(blank=True, default="", db_default="")
    opened_at = models.DateTimeField(db_default=Now())
    changed_at = models.DateTimeField(db_default=Now())
    # When it last came back after it had resolved; what waits for it to last waits from then on.
    back_at = models.DateTimeField(null=True, blank=True)
    # Rises with each change that people are told; a message is about one state, and is never sent twice for it.
    state = models.PositiveIntegerField(default=1, db_default=1)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=200, blank=True, default="", db_default="")
    resolved_at = models.DateTimeField(null=True, blank=True)
    # Since when its cause has not been seen. It resolves when that lasts; a cause that flickers is no news.
    clear_since = models.DateTimeField(null=True, blank=True)
    # How often it came back soon after it had resolved. Each time it must stay away for twice as long.
    reopened = models.PositiveSmallIntegerField(default=0, db_default=0)
    # For `failing`: what was usual before it opened, `{failed, ended}`. What it is compared with until it resolves.
    usual = models.JSONField(default=dict, blank=True)
    # The last event of its jobs that stands in the notes.
    noted_event = models.BigIntegerField(default=0, db_default=0)

    objects = IncidentQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        permissions = [("acknowledge_incident", "Can acknowledge an incident")]
        constraints = [
            models.CheckConstraint(name="incident_cause_valid", condition=Q(cause__in=Cause.values)),
            models.CheckConstraint(name="incident_severity_valid", condition=Q(severity__in=Severity.values)),
            # One cause, one incident, however many sweeps see it.
            models.UniqueConstraint(
                name="incident_open_once", fields=["cause", "about"], condition=Q(resolved_at__isnull=True)
            ),
        ]
        indexes = [models.Index(name="incident_resolved", fields=["resolved_at"])]

    def __str__(self) -> str:
        return self.title

    @property
    def status(self) -> str:
        """Where it stands, in a word of `IncidentStatus`."""
        if self.resolved_at is not None:
            return IncidentStatus.RESOLVED
        return IncidentStatus.OPEN if self.acknowledged_at is None else IncidentStatus.ACKNOWLEDGED


class IncidentBot(models.Model):
    """One bot in an incident: fifty bots of one kind that are stuck are one incident with fifty of these."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="bots")
    bot = models.ForeignKey(Bot, null=True, on_delete=models.SET_NULL, related_name="+")
    # Names and numbers, too: the story outlives the rows.
    name = models.CharField(max_length=NAME_LENGTH)
    job_id = models.BigIntegerField(null=True, blank=True)
    reason = models.TextField(blank=True, default="", db_default="")
    since = models.DateTimeField(db_default=Now())
    until = models.DateTimeField(null=True, blank=True)
    # Since when it has been well again. It leaves when that lasts.
    clear_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                name="incidentbot_once", fields=["incident", "name"], condition=Q(until__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return self.name


class IncidentNote(models.Model):
    """One line of an incident's history. Rows are only ever added."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="notes")
    at = models.DateTimeField(db_default=Now())
    #: A user's name, or nothing when the sweep noticed.
    by = models.CharField(max_length=200, blank=True, default="", db_default="")
    text = models.TextField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.text


def new_secret() -> str:
    """A secret for a webhook's signatures."""
    return secrets.token_urlsafe(32)


class Channel(models.Model):
    """Where people, or their machines, are told of incidents; and of which, and when."""

    name = models.CharField(max_length=NAME_LENGTH, unique=True)
    way = models.CharField(max_length=10, choices=Way, default=Way.APPRISE)
    # May hold passwords, and is shown nowhere; in its place stands `shown`, which is made when it is saved.
    address = models.TextField()
    shown = models.CharField(max_length=300, blank=True, default="", db_default="", editable=False)
    # Signs what a webhook posts.
    secret = models.CharField(max_length=100, default=new_secret, blank=True, editable=False)
    enabled = models.BooleanField(default=True, db_default=True)
    min_severity = models.CharField(max_length=10, choices=Severity, default=Severity.WARNING)
    kinds = ArrayField(models.CharField(max_length=NAME_LENGTH), default=list, blank=True)
    bots = ArrayField(models.CharField(max_length=NAME_LENGTH), default=list, blank=True)
    after = models.DurationField(
        default=timedelta(0), db_default=timedelta(0), validators=[MinValueValidator(timedelta(0))]
    )
    again_every = models.DurationField(null=True, blank=True, validators=[MinValueValidator(timedelta(minutes=1))])
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    critical_breaks_quiet = models.BooleanField(default=True, db_default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    # How it went lately. While it fails, nothing else waits for it.
    sent_at = models.DateTimeField(null=True, blank=True, editable=False)
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    failures = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    last_error = models.TextField(blank=True, default="", db_default="", editable=False)
    # Which sender has it now, and until when, so that its messages go one after the other.
    sender = models.UUIDField(null=True, blank=True, editable=False)
    sender_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["name"]
        permissions = [("test_channel", "Can send a test to a channel")]
        constraints = [
            models.CheckConstraint(name="channel_way_valid", condition=Q(way__in=Way.values)),
            models.CheckConstraint(name="channel_severity_valid", condition=Q(min_severity__in=Severity.values)),
            models.CheckConstraint(
                name="channel_quiet_hours_whole",
                condition=Q(quiet_from__isnull=True, quiet_until__isnull=True)
                | Q(quiet_from__isnull=False, quiet_until__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def standing(self) -> str:
        """The one word for how it is doing."""
        if not self.enabled:
            return "off"
        if self.failing_since is not None:
            return "failing"
        return "well" if self.sent_at is not None else "not_used_yet"


class Delivery(models.Model):
    """One message for one channel: a row of the outbox, written in the transaction that changed the incident."""

    #: The message's own name. It goes along, the same with each try, so that a receiver can tell a repeat.
    uid = models.UUIDField(default=uuid.uuid4, db_default=RandomUUID(), unique=True, editable=False)
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="deliveries")
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="deliveries")
    moment = models.CharField(max_length=10, choices=Moment)
    state = models.PositiveIntegerField()
    #: For `again`: how many times before. One row for each reminder.
    round = models.PositiveIntegerField(default=0, db_default=0)
    #: What is told, as it was when it happened.
    message = models.JSONField(default=dict)
    status = models.CharField(max_length=10, choices=DeliveryStatus, default=DeliveryStatus.WAITING)
    created_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(db_default=Now())
    tries = models.PositiveIntegerField(default=0, db_default=0)
    first_tried_at = models.DateTimeField(null=True, blank=True)
    # A try that has begun and not been recorded. Found by the next sender, its sender has died.
    trying_since = models.DateTimeField(null=True, blank=True)
    # Some try may have arrived, though nobody said so.
    unsure = models.BooleanField(default=False, db_default=False)
    sent_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, default="", db_default="")
    #: What the far side answered, or why nothing was sent.
    outcome = models.TextField(blank=True, default="", db_default="")

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        permissions = [("retry_delivery", "Can send a given-up delivery again")]
        constraints = [
            models.CheckConstraint(name="delivery_moment_valid", condition=Q(moment__in=Moment.values)),
            models.CheckConstraint(name="delivery_status_valid", condition=Q(status__in=DeliveryStatus.values)),
            models.UniqueConstraint(name="delivery_once", fields=["channel", "incident", "moment", "state", "round"]),
        ]
        indexes = [
            models.Index(name="delivery_due", fields=["due_at"], condition=Q(status=DeliveryStatus.WAITING)),
        ]

    def __str__(self) -> str:
        return f"{self.moment} of {self.incident} to {self.channel}"
