"""The models of schedules: a rule that makes jobs, and the ledger of its occurrences."""

from datetime import timedelta

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Least, Now

from bots.models import NAME_LENGTH
from jobs.bounds import GROUP_LENGTH, KEY_LENGTH, MAX_DURATION, PRIORITY_LIMIT, REASON_LENGTH
from jobs.schedules.timing import CRON_LENGTH, Timing
from jobs.states import CatchUp, Fate, Overlap
from jobsite.lib.names import check_kind

#: What a schedule may be called: it stands in URLs. `preview` is a call of its own.
NAME_PATTERN = r"^(?!preview\Z)[A-Za-z0-9][A-Za-z0-9._:-]*\Z"
NAME_RULE = "Use letters, digits and . _ : -, starting with a letter or digit; `preview` is taken."
#: The reason of an occurrence: what a person gave, and what the schedule says.
OUTCOME_LENGTH = 2 * REASON_LENGTH
#: The shortest interval.
MIN_EVERY = timedelta(seconds=1)


class ScheduleQuerySet(models.QuerySet["Schedule"]):
    """Queries for schedules."""

    def due(self) -> "ScheduleQuerySet":
        """Schedules that have something to do now, by the database's clock: a moment has come, or a pause ends."""
        return self.alias(due_at=DUE_AT).filter(due_at__lte=Now())

    def paused_now(self) -> "ScheduleQuerySet":
        """Schedules whose pause has not ended."""
        return self.filter(Q(paused_until=None) | Q(paused_until__gt=Now()), paused=True)


class Schedule(models.Model):
    """A rule that makes jobs, by a cron line or an interval. Changed by `jobs.schedules` alone."""

    name = models.CharField(max_length=NAME_LENGTH, unique=True, validators=[RegexValidator(NAME_PATTERN, NAME_RULE)])
    # A name and no key: a kind is created with its first job.
    kind = models.CharField(max_length=NAME_LENGTH, validators=[check_kind])
    payload = models.JSONField(default=dict, blank=True)
    priority = models.IntegerField(
        default=0,
        db_default=0,
        validators=[MinValueValidator(-PRIORITY_LIMIT), MaxValueValidator(PRIORITY_LIMIT)],
        help_text="Higher goes first.",
    )
    group = models.CharField(
        db_column="group_name",
        max_length=GROUP_LENGTH,
        blank=True,
        default="",
        db_default="",
        help_text="The group of each of its jobs: a customer or a host, for example. Empty: none.",
    )
    key = models.CharField(
        max_length=KEY_LENGTH,
        blank=True,
        default="",
        db_default="",
        help_text="The idempotency key of each of its jobs. Empty: none. While a job has it, moments are skipped.",
    )
    cron = models.CharField(
        "cron line",
        max_length=CRON_LENGTH,
        blank=True,
        default="",
        db_default="",
        help_text="Minute, hour, day of the month, month, day of the week: 0 3 * * MON-FRI.",
    )
    every = models.DurationField(
        null=True,
        blank=True,
        validators=[MinValueValidator(MIN_EVERY), MaxValueValidator(MAX_DURATION)],
        help_text="In place of a cron line: an interval, counted from the start.",
    )
    time_zone = models.CharField(max_length=64, default="UTC", db_default="UTC", help_text="The cron line's.")
    overlap = models.CharField(
        max_length=10,
        choices=Overlap,
        default=Overlap.SKIP,
        db_default=Overlap.SKIP,
        help_text="What becomes of a moment while a job of this schedule has not ended.",
    )
    catch_up = models.CharField(
        max_length=10,
        choices=CatchUp,
        default=CatchUp.LAST,
        db_default=CatchUp.LAST,
        help_text="Which of the moments are made up for at which nothing could run.",
    )
    catch_up_within = models.DurationField(
        default=timedelta(hours=1),
        db_default=timedelta(hours=1),
        validators=[MinValueValidator(timedelta(0)), MaxValueValidator(MAX_DURATION)],
        help_text="For how long after its time.",
    )
    starts_at = models.DateTimeField("starts", null=True, blank=True)
    ends_at = models.DateTimeField("ends", null=True, blank=True)
    paused = models.BooleanField(default=False, db_default=False, editable=False)
    paused_until = models.DateTimeField(null=True, blank=True, editable=False)
    pause_reason = models.CharField(max_length=REASON_LENGTH, blank=True, default="", db_default="", editable=False)
    # The first moment that has no fate. NULL: none is to come.
    next_at = models.DateTimeField("next", null=True, blank=True, editable=False)
    # The file that made it (`manage.py schedules apply`); empty: it was made by hand.
    source = models.CharField(max_length=300, blank=True, default="", db_default="", editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = ScheduleQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        permissions = [
            ("run_schedule", "Can run a schedule now"),
            ("pause_schedule", "Can pause and resume a schedule, and skip its next moment"),
        ]
        constraints = [
            models.CheckConstraint(
                name="schedule_cron_or_every", condition=Q(cron="", every__isnull=False) | (~Q(cron="") & Q(every=None))
            ),
            models.CheckConstraint(
                name="schedule_durations_bounded",
                condition=Q(catch_up_within__gte=timedelta(0), catch_up_within__lte=MAX_DURATION)
                & (Q(every=None) | Q(every__gte=MIN_EVERY, every__lte=MAX_DURATION)),
            ),
            models.CheckConstraint(name="schedule_overlap_valid", condition=Q(overlap__in=Overlap.values)),
            models.CheckConstraint(name="schedule_catch_up_valid", condition=Q(catch_up__in=CatchUp.values)),
            models.CheckConstraint(
                name="schedule_ends_after_start",
                condition=Q(starts_at=None) | Q(ends_at=None) | Q(ends_at__gte=F("starts_at")),
            ),
            models.CheckConstraint(
                name="schedule_running_has_no_pause",
                condition=Q(paused=True) | Q(paused_until__isnull=True, pause_reason=""),
            ),
        ]
        # Each web process asks once a second which is the first.
        indexes = [models.Index(Least("next_at", "paused_until"), name="schedule_due")]

    def __str__(self) -> str:
        return self.name

    @property
    def timing(self) -> Timing:
        """When it fires."""
        return Timing(
            self.cron, self.every, self.time_zone, self.starts_at or self.created_at, self.starts_at, self.ends_at
        )


#: When a schedule has something to do: PostgreSQL's LEAST leaves out what is NULL.
DUE_AT = Least("next_at", "paused_until")


class ScheduleOccurrence(models.Model):
    """One moment of a schedule and its fate; of consecutive ones with the same fate and reason and no job, all."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="occurrences", db_index=False)
    due_at = models.DateTimeField()
    # The last one of several, and how many they are.
    until_at = models.DateTimeField()
    count = models.PositiveIntegerField(default=1, db_default=1)
    fate = models.CharField(max_length=10, choices=Fate)
    # Its job, or the one that has its key. No key in the database: the number outlives the job.
    job = models.ForeignKey(
        "jobs.Job", models.DO_NOTHING, null=True, related_name="+", db_index=False, db_constraint=False
    )
    reason = models.CharField(max_length=OUTCOME_LENGTH, blank=True, default="", db_default="")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-due_at"]
        # Who sees a schedule sees them.
        default_permissions = ()
        constraints = [
            models.CheckConstraint(name="scheduleoccurrence_fate_valid", condition=Q(fate__in=Fate.values)),
            models.CheckConstraint(
                name="scheduleoccurrence_counted", condition=Q(count__gte=1, until_at__gte=F("due_at"))
            ),
            models.UniqueConstraint(name="scheduleoccurrence_once", fields=["schedule", "due_at"]),
            models.UniqueConstraint(
                name="scheduleoccurrence_one_waits", fields=["schedule"], condition=Q(fate=Fate.WAITING)
            ),
        ]
        indexes = [models.Index(name="scheduleoccurrence_until", fields=["until_at"])]

    def __str__(self) -> str:
        return f"{self.fate} at {self.due_at.isoformat()}"
