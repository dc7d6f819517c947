"""Store bots and the API keys of operators and producers."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce, Now

# Django finds the models of an app in its one module, wherever they are written.
from bots.login.models import Identity, Login, SecondFactor  # noqa: F401
from bots.states import UNWELL, BotStatus, HealthStatus

#: The most jobs one claim may ask for, and so the most a bot's capacity may be.
MAX_CLAIM = 1000
#: How long the names people give may be: bots, kinds, keys' labels.
NAME_LENGTH = 100


class BotQuerySet(models.QuerySet["Bot"]):
    """Queries for bots."""

    def stuck(self) -> "BotQuerySet":
        """Bots that are not healthy."""
        return self.filter(health_status__in=UNWELL)

    def unseen(self, within: timedelta) -> "BotQuerySet":
        """Bots that have not called for longer than `within` by the database's clock."""
        return self.alias(seen=Coalesce("last_seen_at", "created_at")).filter(seen__lt=Now() - within)


class Bot(models.Model):
    """One worker. Several processes may share one (see `POST /hello`)."""

    name = models.CharField(max_length=NAME_LENGTH, unique=True)
    status = models.CharField(max_length=20, choices=BotStatus, default=BotStatus.IDLE, db_default=BotStatus.IDLE)
    health_status = models.CharField(
        max_length=20, choices=HealthStatus, default=HealthStatus.NORMAL, db_default=HealthStatus.NORMAL
    )
    health_reason = models.TextField(blank=True, default="", db_default="")
    health_checked_at = models.DateTimeField(null=True, blank=True)
    # The index is below, only over bots that are stuck. SET NULL, so that pruning a job never waits for a bot.
    stuck_job = models.ForeignKey(
        "jobs.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    last_seen_at = models.DateTimeField(null=True, blank=True)
    kinds = ArrayField(
        models.CharField(max_length=NAME_LENGTH),
        default=list,
        blank=True,
        help_text="The kinds of job this bot takes, comma-separated. Empty: any.",
    )
    capacity = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_CLAIM)],
        help_text=f"How many jobs it may hold at once. Empty: as many as it asks for, at most {MAX_CLAIM} a call.",
    )
    paused = models.BooleanField(default=False, db_default=False, help_text="A paused bot gets no new jobs.")
    expected = models.BooleanField(
        default=True,
        db_default=True,
        help_text="Raise an incident when it stops calling. Untick for one that comes and goes, or has gone.",
    )
    version = models.CharField(max_length=100, blank=True, default="", db_default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    # The instance of a bot with one process (`POST /hello`); empty when several processes share it.
    instance = models.CharField(max_length=100, blank=True, default="", db_default="", editable=False)
    restart_requested_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Set when its jobs expired too often; cleared_at is the moment from which expiries count again.
    quarantined_at = models.DateTimeField(null=True, blank=True, editable=False)
    quarantine_reason = models.TextField(blank=True, default="", db_default="", editable=False)
    cleared_at = models.DateTimeField(null=True, blank=True, editable=False)

    # Only a digest of the token is stored. NULL: the token was revoked.
    token_digest = models.BinaryField(max_length=32, null=True, unique=True, editable=False)
    token_prefix = models.CharField(max_length=12, blank=True, default="", db_default="", editable=False)

    objects = BotQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        permissions = [
            ("pause_bot", "Can pause and resume a bot, and clear its quarantine"),
            ("restart_bot", "Can restart a bot"),
            ("rotate_bot_token", "Can rotate and revoke a bot's token"),
        ]
        constraints = [
            models.CheckConstraint(name="bot_status_valid", condition=Q(status__in=BotStatus.values)),
            models.CheckConstraint(name="bot_health_status_valid", condition=Q(health_status__in=HealthStatus.values)),
            models.CheckConstraint(
                name="bot_capacity_range", condition=Q(capacity=None) | Q(capacity__gte=1, capacity__lte=MAX_CLAIM)
            ),
        ]
        indexes = [
            models.Index(name="bot_stuck_job", fields=["stuck_job"], condition=Q(stuck_job__isnull=False)),
            # The sweep's queries. None may name `status`: claims and reports change it, and PostgreSQL keeps such a
            # write within its page (HOT) only while no index depends on it, not even by its condition.
            models.Index(name="bot_unwell", fields=["health_status"], condition=Q(health_status__in=UNWELL)),
            models.Index(Coalesce("last_seen_at", "created_at"), name="bot_unseen"),
            models.Index(name="bot_quarantined", fields=["quarantined_at"], condition=Q(quarantined_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.name


class ApiKey(models.Model):
    """An operator's or producer's key. It acts as its user; that user's permissions decide."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=NAME_LENGTH, blank=True, default="", help_text="What it is for.")
    prefix = models.CharField(max_length=12, editable=False)
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "API key"
        permissions = [("revoke_apikey", "Can revoke an API key")]

    def __str__(self) -> str:
        label: Any = self.name or self.user
        return f"{self.prefix}… ({label})"
