"""Store bots, the API keys of operators and producers, the audit log, and what roles were granted."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any, NoReturn

from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.postgres.fields import ArrayField
from django.core.serializers.json import DjangoJSONEncoder
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Prefetch, Q
from django.db.models.functions import Coalesce, Now
from django.utils.functional import cached_property

from bots.acts import READ, SCOPES, Act, Via, about

# Django finds the models of an app in its one module, wherever they are written.
from bots.instances import Instance, in_quarantine, paused_now
from bots.login.models import Identity, Login, SecondFactor  # noqa: F401
from bots.states import UNWELL, BotStatus, HealthStatus
from jobsite.lib.names import check_kind, check_name

#: The most jobs one claim may ask for, and so the most a bot's capacity may be.
MAX_CLAIM = 1000
#: How long the names people give may be: bots, kinds, keys' labels.
NAME_LENGTH = 100


def was_stuck() -> Q:
    """Match bots that were stuck on a job which went back to the queue, and that have not called since."""
    return Q(health_status__in=UNWELL, stuck_job=None)


def quarantines() -> "Prefetch[str]":
    """What `Bot.quarantines` has, read for several bots at once."""
    return Prefetch("instances", Instance.objects.quarantined(), to_attr="quarantines")


class BotQuerySet(models.QuerySet["Bot"]):
    """Queries for bots."""

    def stuck(self) -> "BotQuerySet":
        """Bots that are not healthy."""
        return self.filter(health_status__in=UNWELL)

    def paused(self) -> "BotQuerySet":
        """Bots that are paused at this moment by the database's clock."""
        return self.filter(paused_now())

    def quarantined(self) -> "BotQuerySet":
        """Bots of which an instance is in quarantine."""
        return self.filter(in_quarantine())

    def with_quarantines(self) -> "BotQuerySet":
        """Read what `Bot.quarantines` has of all of them with one query."""
        return self.prefetch_related(quarantines())

    def unseen(self, within: timedelta) -> "BotQuerySet":
        """Bots that have not called for longer than `within` by the database's clock."""
        return self.alias(seen=Coalesce("last_seen_at", "created_at")).filter(seen__lt=Now() - within)


class Bot(models.Model):
    """One worker. Each of its processes is an instance (see `POST /hello`)."""

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
        models.CharField(max_length=NAME_LENGTH, validators=[check_kind]),
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
    # From this moment on it gets jobs again, and a sweep ends its pause. NULL: until somebody resumes it.
    paused_until = models.DateTimeField(null=True, blank=True, editable=False)
    pause_reason = models.TextField(blank=True, default="", db_default="", editable=False)
    expected = models.BooleanField(
        default=True,
        db_default=True,
        help_text="Raise an incident when it stops calling. Untick for one that comes and goes, or has gone.",
    )
    version = models.CharField(max_length=100, blank=True, default="", db_default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    # The current instance of the empty identity: only one process of it gets jobs (`POST /hello` with `alone`).
    instance = models.CharField(max_length=100, blank=True, default="", db_default="", editable=False)
    # When its instances last changed in what claims must know. A turn that locks it with another moment than it read
    # before reads them again.
    instances_changed_at = models.DateTimeField(null=True, blank=True, editable=False)

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
            models.Index(name="bot_pause_ends", fields=["paused_until"], condition=Q(paused_until__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.name

    @cached_property
    def quarantines(self) -> list[Instance]:
        """Its instances in quarantine, the first put there first."""
        return list(self.instances.quarantined())

    def clean(self) -> None:
        """Check the name of a new bot. One that is there keeps its name."""
        if self._state.adding:
            check_name(self.name)


class ApiKey(models.Model):
    """An operator's or producer's key. It acts as its user: that user's permissions decide, within the key's scope."""

    # A key whose user was deleted does not work, and keeps the name.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="api_keys")
    username = models.CharField(max_length=150, blank=True, default="", db_default="", editable=False)
    name = models.CharField(max_length=NAME_LENGTH, blank=True, default="", help_text="What it is for.")
    kinds = ArrayField(
        models.CharField(max_length=NAME_LENGTH, validators=[check_kind]),
        default=list,
        db_default=[],
        blank=True,
        help_text="Only jobs of these kinds, comma-separated, and nothing else. Empty: no limit.",
    )
    verbs = ArrayField(
        models.CharField(max_length=20),
        default=list,
        db_default=[],
        blank=True,
        help_text=f"Only these, comma-separated: {', '.join(SCOPES)}. Empty: all that its user may do.",
    )
    read_only = models.BooleanField(default=False, db_default=False, help_text="It may read and change nothing.")
    expires_at = models.DateTimeField("expires", null=True, blank=True, help_text="Empty: never.")
    prefix = models.CharField(max_length=12, editable=False)
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    # Written once a minute at most.
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_from = models.CharField(max_length=45, blank=True, default="", db_default="", editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "API key"
        permissions = [("revoke_apikey", "Can revoke an API key")]
        constraints = [
            models.CheckConstraint(name="apikey_verbs_valid", condition=Q(verbs__contained_by=list(map(str, SCOPES))))
        ]

    def __str__(self) -> str:
        label: Any = self.name or self.username
        return f"{self.prefix}… ({label})"

    def clean(self) -> None:
        """Check the name of a new key."""
        if self._state.adding:
            check_name(self.name)

    def beyond_scope(self, verb: str, kinds: Collection[str] | None) -> str:
        """Why this key may not do `verb` for jobs of these kinds, or an empty text. No kinds: it is not about jobs."""
        if self.read_only and verb != READ:
            return f"This key is read-only; this call needs the scope {verb}."
        if self.verbs and verb not in self.verbs:
            return f"This key's scope is {', '.join(self.verbs)}; this call needs the scope {verb}."
        if self.kinds and kinds is None:
            return f"This key's scope is jobs of {', '.join(self.kinds)}; this call needs a key for all kinds."
        if self.kinds and (other := sorted(set(kinds or ()) - set(self.kinds))):
            return f"This key's scope is jobs of {', '.join(self.kinds)}; this call needs the kind {other[0]}."
        return ""


class AuditEntryQuerySet(models.QuerySet["AuditEntry"]):
    """Entries of the audit log. They are added and read, and nothing else."""

    def update(self, **values: Any) -> NoReturn:
        """Refuse: nobody changes an entry."""
        raise TypeError("An entry of the audit log is never changed.")

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: nobody changes an entry."""
        raise TypeError("An entry of the audit log is never changed.")

    def delete(self) -> NoReturn:
        """Refuse: nobody deletes an entry."""
        raise TypeError("An entry of the audit log is never deleted.")


class AuditEntry(models.Model):
    """One act of a person. Written by `bots.audit.record` alone, in the act's transaction; never changed or deleted.

    Names and numbers in place of keys: an entry outlives the rows that it is about.
    """

    LABEL_LENGTH = 300

    at = models.DateTimeField(db_default=Now())
    #: A user's name; empty for a command.
    by = models.CharField(max_length=200, blank=True, default="", db_default="")
    via = models.CharField(max_length=10, choices=Via)
    #: The visible prefix of the API key.
    key = models.CharField(max_length=12, blank=True, default="", db_default="")
    verb = models.CharField(max_length=20, choices=Act)
    object_type = models.CharField("object", max_length=30)
    #: Empty for several jobs at once; `after` has their ids, and their events refer to the entry.
    object_id = models.CharField(max_length=100, blank=True, default="", db_default="")
    object_name = models.CharField(max_length=LABEL_LENGTH, blank=True, default="", db_default="")
    before = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)
    after = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)
    reason = models.TextField(blank=True, default="", db_default="")
    request_id = models.CharField(max_length=64, blank=True, default="", db_default="")
    #: The number that the entries of an act in several steps share. None: the entry is a whole act.
    act = models.BigIntegerField(null=True)

    objects = AuditEntryQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = "audit entry"
        verbose_name_plural = "audit log"
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(name="auditentry_via_valid", condition=Q(via__in=Via.values)),
            models.CheckConstraint(name="auditentry_verb_valid", condition=Q(verb__in=Act.values)),
        ]
        indexes = [
            models.Index(name="auditentry_of_object", fields=["object_type", "object_id", "-id"]),
            models.Index(name="auditentry_by", fields=["by", "-id"]),
            models.Index(name="auditentry_of_act", fields=["act", "id"], condition=Q(act__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.verb} of {about(self.object_type, self.object_id, self.object_name)}"

    def save(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: `bots.audit.record` writes entries."""
        raise TypeError("An entry of the audit log is written by bots.audit.record and never changed.")

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: nobody deletes an entry."""
        raise TypeError("An entry of the audit log is never deleted.")


class RoleGrant(models.Model):
    """What a role's group was given once by `jobsite.roles`, so that what a person took from it does not come back."""

    role = models.CharField(max_length=NAME_LENGTH, primary_key=True)
    # NULL: the group was deleted, or a person had made one of this name before.
    group = models.OneToOneField(Group, null=True, on_delete=models.SET_NULL, related_name="+")
    granted = ArrayField(models.CharField(max_length=NAME_LENGTH), default=list)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.role
