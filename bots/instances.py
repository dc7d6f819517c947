"""Store the instances of bots: one row for each process, named at its start by `hello`."""

from datetime import timedelta

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now

#: The longest name of an instance or identity.
INSTANCE_LENGTH = 100
#: How long an instance that has ended, or is not seen any more, is kept.
KEPT_FOR = timedelta(days=7)


def paused_now() -> Q:
    """Match bots, or instances, that are paused at this moment by the database's clock."""
    return Q(paused=True) & (Q(paused_until=None) | Q(paused_until__gt=Now()))


class InstanceQuerySet(models.QuerySet["Instance"]):
    """Queries for instances."""

    def current(self) -> "InstanceQuerySet":
        """Instances that were not replaced and have not called goodbye."""
        return self.filter(ended_at=None)

    def paused(self) -> "InstanceQuerySet":
        """Instances that are paused at this moment by the database's clock."""
        return self.filter(paused_now())

    def quarantined(self) -> "InstanceQuerySet":
        """Current instances in quarantine, the first put there first."""
        return self.current().filter(quarantined_at__isnull=False).order_by("quarantined_at", "pk")

    def newest_first(self) -> "InstanceQuerySet":
        """Those that run, and then those that have ended: the last seen first."""
        return self.order_by(F("ended_at").desc(nulls_first=True), "-last_seen_at")

    def seen(self, within: timedelta) -> "InstanceQuerySet":
        """Current instances that have called within this time by the database's clock."""
        return self.current().filter(last_seen_at__gte=Now() - within)


class Instance(models.Model):
    """One process of a bot. The name is empty for all processes that never call hello.

    Only `jobs.lifecycle` writes it, and only under the lock of its bot's row.
    """

    bot = models.ForeignKey("bots.Bot", on_delete=models.CASCADE, related_name="instances", db_index=False)
    name = models.CharField(max_length=INSTANCE_LENGTH, blank=True)
    # What stays the same when the process is started again. An instance replaces older ones of its identity.
    identity = models.CharField(max_length=INSTANCE_LENGTH, blank=True, default="", db_default="")
    host = models.CharField(max_length=100, blank=True, default="", db_default="")
    pid = models.PositiveIntegerField(null=True, blank=True)
    version = models.CharField(max_length=100, blank=True, default="", db_default="")
    started_at = models.DateTimeField(db_default=Now())
    last_seen_at = models.DateTimeField(db_default=Now())
    # The kinds of its last claim. NULL: any, or it has not claimed yet.
    asked_kinds = ArrayField(models.CharField(max_length=100), null=True, blank=True)
    # Room for jobs: of its handlers, and what is lost to those that do not end. NULL: it gives none.
    slots = models.PositiveIntegerField(null=True, blank=True)
    slots_lost = models.PositiveIntegerField(default=0, db_default=0)
    # Set when a newer instance of its identity called hello, or it called goodbye itself.
    ended_at = models.DateTimeField(null=True, blank=True)
    replaced_by = models.CharField(max_length=INSTANCE_LENGTH, blank=True, default="", db_default="")
    restart_requested_at = models.DateTimeField(null=True, blank=True)
    paused = models.BooleanField(default=False, db_default=False)
    paused_until = models.DateTimeField(null=True, blank=True)
    pause_reason = models.TextField(blank=True, default="", db_default="")
    # Set when too many jobs expired under it that others then did; `cleared_at`: from when on they count again.
    quarantined_at = models.DateTimeField(null=True, blank=True)
    quarantine_reason = models.TextField(blank=True, default="", db_default="")
    cleared_at = models.DateTimeField(null=True, blank=True)
    # When it gets one job in quarantine, to show that it is well, and how often it has had one.
    probe_at = models.DateTimeField(null=True, blank=True)
    probe_level = models.PositiveSmallIntegerField(default=0, db_default=0)

    objects = InstanceQuerySet.as_manager()

    class Meta:
        ordering = ["-last_seen_at"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(name="instance_once_per_bot", fields=["bot", "name"]),
            models.CheckConstraint(
                name="instance_replaced_ended", condition=Q(replaced_by="") | Q(ended_at__isnull=False)
            ),
            models.CheckConstraint(
                name="instance_quarantine_probed",
                condition=Q(quarantined_at=None, probe_at=None)
                | Q(quarantined_at__isnull=False, probe_at__isnull=False),
            ),
        ]
        # No index has `last_seen_at`: each sight is a write within the page.
        indexes = [
            models.Index(name="instance_current", fields=["bot", "identity"], condition=Q(ended_at__isnull=True)),
            models.Index(name="instance_quarantined", fields=["bot"], condition=Q(quarantined_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.name or "(no name)"

    @property
    def why_quarantined(self) -> str:
        """Why it is in quarantine, with its name where it has one."""
        reason = self.quarantine_reason or "its jobs expired too often"
        return f"instance {self.name}: {reason}" if self.name else reason

    @property
    def state(self) -> str:
        """What became of it, in a word or two; empty for one that works."""
        if self.ended_at is not None:
            return f"replaced by {self.replaced_by}" if self.replaced_by else "ended"
        if self.restart_requested_at is not None:
            return "restarting"
        if self.quarantined_at is not None:
            return "quarantined"
        return "paused" if self.paused else ""


def in_quarantine() -> Exists:
    """A condition on bots: an instance of it is in quarantine."""
    return Exists(Instance.objects.quarantined().filter(bot=OuterRef("pk")))
