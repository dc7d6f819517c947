"""Incidents (problems that need a human), channels (where notifications go) and deliveries (the outbox)."""

import secrets
import uuid
from base64 import b64encode
from datetime import timedelta

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import RandomUUID
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.expressions import Case, Value, When
from django.db.models.functions import Now

from alerts.states import SECRET_PREFIX, Cause, DeliveryStatus, IncidentStatus, Moment, Severity, Way
from bots.models import NAME_LENGTH, Bot
from jobs.bounds import MAX_DURATION
from jobsite.lib.names import check_kind, check_name

#: Order of urgency: open and unacknowledged, open, resolved; critical before warning.
URGENCY = Case(
    When(resolved_at=None, acknowledged_at=None, severity=Severity.CRITICAL, then=Value(0)),
    When(resolved_at=None, acknowledged_at=None, then=Value(1)),
    When(resolved_at=None, severity=Severity.CRITICAL, then=Value(2)),
    When(resolved_at=None, then=Value(3)),
    default=Value(4),
)


class IncidentQuerySet(models.QuerySet["Incident"]):
    """Queries for incidents."""

    def open(self) -> "IncidentQuerySet":
        """Incidents that are not resolved, acknowledged or not."""
        return self.filter(resolved_at=None)

    def unacknowledged(self) -> "IncidentQuerySet":
        """Open incidents that nobody has acknowledged."""
        return self.of_status(IncidentStatus.OPEN)

    def of_status(self, status: IncidentStatus) -> "IncidentQuerySet":
        """Incidents with this status."""
        if status == IncidentStatus.RESOLVED:
            return self.exclude(resolved_at=None)
        return self.open().filter(acknowledged_at__isnull=status == IncidentStatus.OPEN)

    def by_urgency(self) -> "IncidentQuerySet":
        """Annotate `rank` (`URGENCY`, 0 to 4) and order by it, the newest first within each."""
        return self.annotate(rank=URGENCY).order_by("rank", "-opened_at", "-pk")


class Incident(models.Model):
    """A problem that needs a human, from when it opens until it resolves. Written by `alerts.incidents` alone."""

    cause = models.CharField(max_length=20, choices=Cause)
    # What it concerns within its cause: a kind, `GATHERED` for many, or empty for the whole installation. At most one
    # open incident for each pair of cause and `about`.
    about = models.CharField(max_length=NAME_LENGTH, blank=True, default="", db_default="")
    # The kind it concerns, if any; channels filter by it.
    kind = models.CharField(max_length=NAME_LENGTH, blank=True, default="", db_default="")
    # The kinds it concerns now where they are many, and those of which channels were notified.
    kinds = ArrayField(models.CharField(max_length=NAME_LENGTH), default=list, db_default=[], blank=True)
    announced = ArrayField(models.CharField(max_length=NAME_LENGTH), default=list, db_default=[], blank=True)
    severity = models.CharField(max_length=10, choices=Severity)
    #: One line: the problem. Changes as the incident does.
    title = models.CharField(max_length=300)
    #: The evidence, with numbers.
    reason = models.TextField(blank=True, default="", db_default="")
    opened_at = models.DateTimeField(db_default=Now())
    changed_at = models.DateTimeField(db_default=Now())
    # When it last reopened. A channel's delay counts from then.
    back_at = models.DateTimeField(null=True, blank=True)
    # Rises with each change that is notified. A notification is about one state, and there is one for each state.
    state = models.PositiveIntegerField(default=1, db_default=1)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=200, blank=True, default="", db_default="")
    resolved_at = models.DateTimeField(null=True, blank=True)
    # Since when its cause is gone. It resolves when that lasts, so that a flapping cause sends nothing.
    clear_since = models.DateTimeField(null=True, blank=True)
    # How often it reopened soon after it had resolved. Each time doubles its clear time.
    reopened = models.PositiveSmallIntegerField(default=0, db_default=0)
    # For `failing`: the counts before it opened, `{failed, ended}`, to compare with until it resolves.
    usual = models.JSONField(default=dict, blank=True)
    # The last event of its jobs that was noted.
    noted_event = models.BigIntegerField(default=0, db_default=0)

    objects = IncidentQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        permissions = [("acknowledge_incident", "Can acknowledge an incident")]
        constraints = [
            models.CheckConstraint(name="incident_cause_valid", condition=Q(cause__in=Cause.values)),
            models.CheckConstraint(name="incident_severity_valid", condition=Q(severity__in=Severity.values)),
            # One open incident for each cause, however many sweeps detect it.
            models.UniqueConstraint(
                name="incident_open_once", fields=["cause", "about"], condition=Q(resolved_at__isnull=True)
            ),
        ]
        indexes = [models.Index(name="incident_resolved", fields=["resolved_at"])]

    def __str__(self) -> str:
        return self.title

    @property
    def status(self) -> str:
        """Its `IncidentStatus`."""
        if self.resolved_at is not None:
            return IncidentStatus.RESOLVED
        return IncidentStatus.OPEN if self.acknowledged_at is None else IncidentStatus.ACKNOWLEDGED


class IncidentBot(models.Model):
    """One bot in an incident. Fifty bots stuck on one kind are one incident with fifty of these."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="bots")
    bot = models.ForeignKey(Bot, null=True, on_delete=models.SET_NULL, related_name="+")
    # Names and numbers as well as keys: the history outlives the rows.
    name = models.CharField(max_length=NAME_LENGTH)
    job_id = models.BigIntegerField(null=True, blank=True)
    reason = models.TextField(blank=True, default="", db_default="")
    since = models.DateTimeField(db_default=Now())
    until = models.DateTimeField(null=True, blank=True)
    # Since when it has recovered. It leaves when that lasts.
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
    """One line of an incident's history. Only `alerts.incidents.folding` takes any away."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="notes")
    at = models.DateTimeField(db_default=Now())
    #: A user's name; empty for the sweep.
    by = models.CharField(max_length=200, blank=True, default="", db_default="")
    text = models.TextField()
    # How many lines of the sweep this one stands for. 0: it is a line of its own.
    folded = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.text


def new_secret() -> str:
    """Generate a secret for a webhook's signatures, of 32 bytes. Standard Webhooks asks for 24 to 64."""
    return SECRET_PREFIX + b64encode(secrets.token_bytes(32)).decode()


class Channel(models.Model):
    """A destination for notifications, with filters and times."""

    name = models.CharField(max_length=NAME_LENGTH, unique=True)
    way = models.CharField("type", max_length=10, choices=Way, default=Way.APPRISE)
    # May contain passwords and is never shown. `shown` is its masked form, made when it is saved.
    address = models.TextField()
    shown = models.CharField(max_length=300, blank=True, default="", db_default="", editable=False)
    # Signs webhook requests.
    secret = models.CharField(max_length=100, default=new_secret, blank=True, editable=False)
    enabled = models.BooleanField(default=True, db_default=True)
    min_severity = models.CharField("minimum severity", max_length=10, choices=Severity, default=Severity.WARNING)
    kinds = ArrayField(models.CharField(max_length=NAME_LENGTH, validators=[check_kind]), default=list, blank=True)
    bots = ArrayField(models.CharField(max_length=NAME_LENGTH), default=list, blank=True)
    after = models.DurationField(
        "delay",
        default=timedelta(0),
        db_default=timedelta(0),
        validators=[MinValueValidator(timedelta(0)), MaxValueValidator(MAX_DURATION)],
    )
    again_every = models.DurationField(
        "repeat every",
        null=True,
        blank=True,
        validators=[MinValueValidator(timedelta(minutes=1)), MaxValueValidator(MAX_DURATION)],
    )
    quiet_from = models.TimeField("quiet hours start", null=True, blank=True)
    quiet_until = models.TimeField("quiet hours end", null=True, blank=True)
    critical_breaks_quiet = models.BooleanField(default=True, db_default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    # Out of use for ever: off, without address and secret. Its deliveries stay.
    retired_at = models.DateTimeField(null=True, blank=True, editable=False)
    # The outcome of recent deliveries. A failing channel delays no other.
    sent_at = models.DateTimeField(null=True, blank=True, editable=False)
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    failures = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    last_error = models.TextField(blank=True, default="", db_default="", editable=False)
    # The sender that has claimed it, and until when: one sends at a time, so notifications stay in order.
    sender = models.UUIDField(null=True, blank=True, editable=False)
    sender_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["name"]
        permissions = [("test_channel", "Can send a test to a channel")]
        constraints = [
            models.CheckConstraint(name="channel_way_valid", condition=Q(way__in=Way.values)),
            models.CheckConstraint(name="channel_retired_is_off", condition=Q(retired_at=None) | Q(enabled=False)),
            models.CheckConstraint(name="channel_severity_valid", condition=Q(min_severity__in=Severity.values)),
            models.CheckConstraint(
                name="channel_durations_bounded",
                condition=Q(after__gte=timedelta(0), after__lte=MAX_DURATION)
                & (Q(again_every=None) | Q(again_every__gte=timedelta(minutes=1), again_every__lte=MAX_DURATION)),
            ),
            models.CheckConstraint(
                name="channel_quiet_hours_whole",
                condition=Q(quiet_from__isnull=True, quiet_until__isnull=True)
                | Q(quiet_from__isnull=False, quiet_until__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Check the name of a new channel. Its form checks another one."""
        if self._state.adding:
            check_name(self.name)

    @property
    def state(self) -> str:
        """Its state in one word, as shown in the admin."""
        if self.retired_at is not None:
            return "retired"
        if not self.enabled:
            return "off"
        if self.failing_since is not None:
            return "failing"
        return "well" if self.sent_at is not None else "not_used_yet"


class Delivery(models.Model):
    """One notification for one channel: a row of the outbox, written in the transaction that changed the incident."""

    #: Sent along with each try, so that a receiver can recognise a repeat.
    uid = models.UUIDField(default=uuid.uuid4, db_default=RandomUUID(), unique=True, editable=False)
    # No constraint: it would lock the channel's row for each delivery, and a session that keeps that locked would stop
    # all incidents. A channel with deliveries is not deleted, but retired.
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="deliveries", db_constraint=False)
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="deliveries")
    moment = models.CharField(max_length=10, choices=Moment)
    state = models.PositiveIntegerField()
    #: For `again`: the number of the reminder.
    round = models.PositiveIntegerField(default=0, db_default=0)
    #: The content, as of the change.
    message = models.JSONField(default=dict)
    status = models.CharField(max_length=10, choices=DeliveryStatus, default=DeliveryStatus.WAITING)
    created_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(db_default=Now())
    tries = models.PositiveIntegerField(default=0, db_default=0)
    first_tried_at = models.DateTimeField(null=True, blank=True)
    # Set while a try is under way. If another sender finds it set, the first one died.
    trying_since = models.DateTimeField(null=True, blank=True)
    # Whether a try may have arrived without an answer.
    unsure = models.BooleanField(default=False, db_default=False)
    sent_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, default="", db_default="")
    #: The receiver's answer, or why nothing was sent.
    outcome = models.TextField(blank=True, default="", db_default="")

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        permissions = [
            ("retry_delivery", "Can send a given-up delivery again"),
            ("send_held_delivery", "Can send what is held back after a restore"),
        ]
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
