"""Limits of kinds and groups: the fields of kinds and jobs for them, and the gates where they are kept."""

from datetime import timedelta

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from bots.models import NAME_LENGTH
from jobs.bounds import GROUP_LENGTH, MAX_HELD_LIMIT, MAX_RATE_PERIOD, RATE_LIMIT, REASON_LENGTH
from jobs.own_times import HANDED_OUT_UNTIL
from jobs.states import JobStatus

#: The limits of a kind. One that is empty does not hold.
LIMITS = ("max_held", "max_held_per_group", "rate", "rate_per_group")

#: Names of kinds, in SQL: nobody gets a job of these, since they are paused or throttled, and so none of them is due.
CLOSED_SQL = """SELECT name FROM jobs_jobkind WHERE paused
        UNION ALL
        SELECT kind_id FROM jobs_gate WHERE group_name = '' AND shut_until > statement_timestamp()"""


def _limit(most: int, help_text: str) -> models.PositiveIntegerField:
    validators = [MinValueValidator(1), MaxValueValidator(most)]
    return models.PositiveIntegerField(null=True, blank=True, validators=validators, help_text=help_text)


class Limited(models.Model):
    """What a kind says of how many of its jobs may be held at once, and how many may start."""

    max_held = _limit(MAX_HELD_LIMIT, "How many jobs may be held at once. Empty: any number.")
    max_held_per_group = _limit(MAX_HELD_LIMIT, "How many jobs of each group may be held at once. Empty: any number.")
    rate = _limit(RATE_LIMIT, "How many jobs may start in any period. Empty: any number.")
    rate_per_group = _limit(RATE_LIMIT, "How many jobs of each group may start in any period. Empty: any number.")
    rate_period = models.DurationField(
        default=timedelta(minutes=1),
        db_default=timedelta(minutes=1),
        validators=[MinValueValidator(timedelta(seconds=1)), MaxValueValidator(MAX_RATE_PERIOD)],
        help_text="The period of both rates.",
    )
    fair = models.BooleanField(
        default=True,
        db_default=True,
        help_text="Groups take turns, whatever the priorities of their jobs. "
        "Without: the highest priority of all goes first.",
    )
    # Set by a trigger (jobs/lifecycle/sql/guard_limits.sql): whether there is a limit, and the number of the last time
    # when there was none before.
    limited = models.BooleanField(default=False, db_default=False, editable=False)
    limited_no = models.PositiveIntegerField(default=0, db_default=0, editable=False)

    class Meta:
        abstract = True


#: The constraints of a kind's limits.
LIMIT_CONSTRAINTS = [
    models.CheckConstraint(
        name="jobkind_limits_range",
        condition=(Q(max_held=None) | Q(max_held__gte=1, max_held__lte=MAX_HELD_LIMIT))
        & (Q(max_held_per_group=None) | Q(max_held_per_group__gte=1, max_held_per_group__lte=MAX_HELD_LIMIT))
        & (Q(rate=None) | Q(rate__gte=1, rate__lte=RATE_LIMIT))
        & (Q(rate_per_group=None) | Q(rate_per_group__gte=1, rate_per_group__lte=RATE_LIMIT))
        & Q(rate_period__gte=timedelta(seconds=1), rate_period__lte=MAX_RATE_PERIOD),
    )
]


class Grouped(models.Model):
    """A job's group, and whether it is in the lane of gated jobs: it has a group, or its kind has a limit."""

    group_name = models.CharField("group", max_length=GROUP_LENGTH, blank=True, default="", db_default="")
    gated = models.BooleanField(default=False, db_default=False, editable=False)

    class Meta:
        abstract = True


GROUP_CONSTRAINTS = [models.CheckConstraint(name="job_group_gated", condition=Q(group_name="") | Q(gated=True))]
_SHARED = Q(status=JobStatus.PENDING, gated=False)
_GATED = Q(status=JobStatus.PENDING, gated=True)
_ORDER = (F("priority").desc(), "run_at", "id", HANDED_OUT_UNTIL)
#: The shared lane, and that of gated jobs, which those that claim other jobs never read.
PENDING_INDEXES = [
    models.Index(*_ORDER, name="job_pending", condition=_SHARED),
    models.Index("kind", *_ORDER, name="job_pending_by_kind", condition=_SHARED),
    models.Index("kind", "group_name", *_ORDER, name="job_gated", condition=_GATED),
    models.Index("kind", *_ORDER, name="job_gated_by_kind", condition=_GATED),
    # What a claim counts.
    models.Index(
        name="job_gated_held", fields=["kind", "group_name"], condition=Q(gated=True, claimed_by__isnull=False)
    ),
    # The lists'.
    models.Index(name="job_of_group", fields=["group_name", "id"], condition=~Q(group_name="")),
]


class Gate(models.Model):
    """Where the limits of a kind (without a group), or of one of its groups, are kept.

    A kind with limits or groups has one, and each group. `open` is a hint: there may be a job that may go. A gate that
    is not open is looked at again at `due_at`; empty: when a job comes; infinity: when one of its jobs has ended.
    """

    kind = models.ForeignKey(
        "jobs.JobKind", on_delete=models.CASCADE, related_name="gates", db_index=False, db_constraint=False
    )
    group_name = models.CharField("group", max_length=GROUP_LENGTH, blank=True, default="", db_default="")
    open = models.BooleanField(default=True, db_default=True)
    # Groups are served in the order of these, and a job that is given adds one.
    round_no = models.BigIntegerField(default=0, db_default=0)
    due_at = models.DateTimeField(null=True, blank=True)
    # Starts by parts of the rate's period, the newest first, and when the newest part began to count.
    tokens = ArrayField(models.IntegerField(), default=list, db_default=[])
    tokens_at = models.DateTimeField(null=True, blank=True)
    shut_until = models.DateTimeField(null=True, blank=True)
    shut_reason = models.CharField(max_length=REASON_LENGTH, blank=True, default="", db_default="")
    shut_by = models.CharField(max_length=2 * NAME_LENGTH, blank=True, default="", db_default="")
    # Of a kind: the `limited_no` for which all its jobs have come into this lane.
    limited_no = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [models.UniqueConstraint(name="gate_once", fields=["kind", "group_name"])]
        indexes = [
            models.Index(
                name="gate_open", fields=["kind", "round_no", "group_name"], condition=Q(open=True) & ~Q(group_name="")
            ),
            models.Index(name="gate_due", fields=["kind", "due_at"], condition=Q(open=False) & ~Q(group_name="")),
            models.Index(name="gate_of_kind_open", fields=["kind"], condition=Q(open=True, group_name="")),
            models.Index(name="gate_of_kind_due", fields=["due_at"], condition=Q(open=False, group_name="")),
            models.Index(
                name="gate_of_kind_shut", fields=["kind"], condition=Q(shut_until__isnull=False, group_name="")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind_id} {self.group_name}".strip()
