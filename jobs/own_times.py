"""The times that a job may have of its own, before its kind's: fields of `Job`, with their constraints and index."""

from datetime import timedelta

from django.db import models
from django.db.models import Q
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce

from jobs.bounds import MAX_BACKOFF, MAX_DURATION
from jobs.states import JobStatus
from jobsite.lib.durations import words

_ZERO = timedelta(0)


class OwnTimes(models.Model):
    """Until when a job must be begun, its own limits in place of its kind's, and how often bots have put it off."""

    # From this moment on it is not handed out. NULL: it is for ever.
    start_by = models.DateTimeField(null=True, blank=True)
    run_within = models.DurationField(null=True, blank=True)
    heartbeat_within = models.DurationField(null=True, blank=True)
    backoff = models.DurationField(null=True, blank=True)
    deferrals = models.PositiveIntegerField(default=0, db_default=0, editable=False)

    class Meta:
        abstract = True

    @property
    def own_times(self) -> list[tuple[str, str]]:
        """Its own limits, each with its name, in words."""
        limits = {"Run within": self.run_within, "Heartbeat within": self.heartbeat_within, "Backoff": self.backoff}
        return [(name, words(limit)) for name, limit in limits.items() if limit is not None]


CONSTRAINTS = (
    models.CheckConstraint(
        name="job_own_times_bounded",
        condition=(Q(run_within=None) | Q(run_within__gt=_ZERO, run_within__lte=MAX_DURATION))
        & (Q(heartbeat_within=None) | Q(heartbeat_within__gt=_ZERO, heartbeat_within__lte=MAX_DURATION))
        & (Q(backoff=None) | Q(backoff__gte=_ZERO, backoff__lte=MAX_BACKOFF)),
    ),
)
#: In the indexes of pending jobs: until when each may be handed out. A claim passes over the others in the index, and
#: reads none of them.
HANDED_OUT_UNTIL = Coalesce("start_by", RawSQL("'infinity'::timestamptz", ()), output_field=models.DateTimeField())
#: What the sweep drops.
INDEXES = (
    models.Index(
        name="job_start_by", fields=["start_by"], condition=Q(status=JobStatus.PENDING, start_by__isnull=False)
    ),
)
