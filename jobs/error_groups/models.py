"""The model of an error group, and its states."""

from datetime import datetime, timedelta

from django.db import models
from django.db.models import Q

from bots.models import NAME_LENGTH
from jobs.states import ErrorStatus


class ErrorGroupQuerySet(models.QuerySet["ErrorGroup"]):
    """Queries for error groups."""

    def open(self) -> "ErrorGroupQuerySet":
        """Groups that nobody has resolved or ignored since they last failed."""
        return self.filter(status=ErrorStatus.OPEN)


class ErrorGroup(models.Model):
    """Failures of one kind whose errors are alike. `jobs.error_groups.counting` counts them."""

    # A name and not a foreign key: it outlives the kind.
    kind = models.CharField(max_length=NAME_LENGTH)
    # As `jobs.fingerprints` has it; empty: the errors for which the kind has too many groups.
    fingerprint = models.CharField(max_length=32)
    words = models.TextField()
    status = models.CharField(max_length=10, choices=ErrorStatus, default=ErrorStatus.OPEN, db_default=ErrorStatus.OPEN)
    # Attempts that ended so, in all, by hour (`2026-11-27T14`), by bot and by the version of its process.
    count = models.BigIntegerField(default=0, db_default=0)
    hours = models.JSONField(default=dict, db_default={}, blank=True)
    bots = models.JSONField(default=dict, db_default={}, blank=True)
    versions = models.JSONField(default=dict, db_default={}, blank=True)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    last_job = models.BigIntegerField()
    # Who resolved or ignored it, when and why; and when it failed again after it was resolved.
    changed_at = models.DateTimeField(null=True, blank=True)
    changed_by = models.CharField(max_length=200, blank=True, default="", db_default="")
    reason = models.TextField(blank=True, default="", db_default="")
    back_at = models.DateTimeField(null=True, blank=True)

    objects = ErrorGroupQuerySet.as_manager()

    class Meta:
        ordering = ["-last_at", "-pk"]
        permissions = [("resolve_errorgroup", "Can resolve or ignore an error group")]
        constraints = [
            models.UniqueConstraint(name="errorgroup_once", fields=["kind", "fingerprint"]),
            models.CheckConstraint(name="errorgroup_status_valid", condition=Q(status__in=ErrorStatus.values)),
        ]
        indexes = [models.Index(name="errorgroup_last", fields=["last_at", "id"])]

    def __str__(self) -> str:
        return f"error group {self.pk} of {self.kind}"

    def trend(self, now: datetime, hours: int = 24) -> list[int]:
        """How many failures each of the last hours had, the oldest first."""
        return [self.hours.get(hour_of(now - timedelta(hours=back)), 0) for back in reversed(range(hours))]


def hour_of(moment: datetime) -> str:
    """An hour as `ErrorGroup.hours` names it."""
    return f"{moment:%Y-%m-%dT%H}"
