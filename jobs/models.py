"""Jobs, their kinds with limits and policies, and the history of jobs."""

from datetime import datetime, timedelta
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from bots.models import NAME_LENGTH, Bot
from jobs import fingerprints, own_times, uniqueness
from jobs.attempts import Numbered
from jobs.bounds import KEY_LENGTH, MAX_ATTEMPTS_LIMIT, MAX_BACKOFF, MAX_DURATION, NOTE_LENGTH
from jobs.error_groups.models import ErrorGroup
from jobs.history import JobEvent
from jobs.limits import GROUP_CONSTRAINTS, LIMIT_CONSTRAINTS, PENDING_INDEXES, Gate, Grouped, Limited
from jobs.own_times import OwnTimes
from jobs.saved_searches import SavedSearch
from jobs.schedules.models import Schedule, ScheduleOccurrence
from jobs.states import AT_REST, FINISHED, HELD, UNFINISHED, JobStatus, Policy, Unique
from jobs.stats.models import JobRollup, Learned, Refusal, RollupState, SweepRun
from jobs.time_limits import past_a_limit
from jobs.transitions import OPERATIONS
from jobsite.lib.names import check_kind

__all__ = [
    "ErrorGroup", "Gate", "Job", "JobEvent", "JobKind", "JobQuerySet", "JobRollup", "Learned", "Refusal", "RollupState",
    "SavedSearch", "Schedule", "ScheduleOccurrence", "SweepRun",
]  # fmt: skip


def _duration(default: timedelta | None, most: timedelta = MAX_DURATION, help_text: str = "") -> models.DurationField:
    """Declare a duration of a kind, from zero to `most`. Without a default it may be empty."""
    options: dict[str, Any] = {"default": default, "db_default": default} if default else {"null": True, "blank": True}
    validators = [MinValueValidator(timedelta(0)), MaxValueValidator(most)]
    return models.DurationField(validators=validators, help_text=help_text, **options)


class JobKind(Limited, models.Model):
    """A type of work, with the limits and policies of its jobs."""

    name = models.CharField(
        max_length=NAME_LENGTH,
        primary_key=True,
        validators=[check_kind],
    )
    paused = models.BooleanField(default=False, db_default=False, help_text="No jobs of a paused kind are assigned.")
    max_attempts = models.PositiveIntegerField(
        default=3,
        db_default=3,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_ATTEMPTS_LIMIT)],
        help_text="Attempts for each job, unless the job sets its own number.",
    )
    backoff = _duration(
        timedelta(seconds=10), MAX_BACKOFF, "The delay before the second attempt. It doubles with each further one."
    )
    backoff_max = _duration(None, MAX_BACKOFF, "The longest delay before an attempt. Empty: no such limit.")
    start_within = _duration(timedelta(minutes=5))
    heartbeat_within = _duration(timedelta(minutes=2))
    run_within = _duration(None, MAX_DURATION, "How long a job may run. Empty: learned from the kind's successes.")
    # Kept by `jobs.stats.learned`, and here so that a claim has no other table to read. Empty: too few successes.
    learned_run_within = models.DurationField(null=True, blank=True, editable=False)
    wait_within = _duration(
        None,
        MAX_DURATION,
        "How long a due job may wait before an incident opens. Empty: 1 hour, the default. 0: never.",
    )
    drop_after = _duration(
        None,
        MAX_DURATION,
        "How long after it is due a job may be begun; then it is dropped. For new jobs. Empty: for ever.",
    )
    max_pending = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="How many jobs may be pending before new ones are refused. Empty: as many as the installation takes.",
    )
    when_silent = models.CharField(max_length=10, choices=Policy, default=Policy.RELEASE, db_default=Policy.RELEASE)
    when_overdue = models.CharField(max_length=10, choices=Policy, default=Policy.FLAG, db_default=Policy.FLAG)
    keep_for = _duration(timedelta(days=30), MAX_DURATION, "How long finished jobs are kept.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name"]
        verbose_name = "kind"
        permissions = [("pause_jobkind", "Can pause and resume a kind")]
        constraints = [
            models.CheckConstraint(name="jobkind_when_silent_valid", condition=Q(when_silent__in=Policy.values)),
            models.CheckConstraint(name="jobkind_when_overdue_valid", condition=Q(when_overdue__in=Policy.values)),
            models.CheckConstraint(
                name="jobkind_max_attempts_range",
                condition=Q(max_attempts__gte=1, max_attempts__lte=MAX_ATTEMPTS_LIMIT),
            ),
            models.CheckConstraint(
                name="jobkind_limits_positive",
                condition=Q(start_within__gt=timedelta(0), heartbeat_within__gt=timedelta(0), backoff__gte=timedelta(0))
                & (Q(run_within=None) | Q(run_within__gt=timedelta(0))),
            ),
            models.CheckConstraint(
                name="jobkind_wait_within_positive", condition=Q(wait_within=None) | Q(wait_within__gte=timedelta(0))
            ),
            models.CheckConstraint(
                name="jobkind_max_pending_positive", condition=Q(max_pending=None) | Q(max_pending__gte=1)
            ),
            # One that no date can hold would break each statement that adds it to a moment, for all kinds.
            models.CheckConstraint(
                name="jobkind_durations_bounded",
                condition=Q(keep_for__gte=timedelta(0), backoff__lte=MAX_BACKOFF)
                & Q(start_within__lte=MAX_DURATION, heartbeat_within__lte=MAX_DURATION, keep_for__lte=MAX_DURATION)
                & (Q(run_within=None) | Q(run_within__lte=MAX_DURATION))
                & (Q(wait_within=None) | Q(wait_within__lte=MAX_DURATION)),
            ),
            *LIMIT_CONSTRAINTS,
            models.CheckConstraint(
                name="jobkind_drop_and_backoff_bounded",
                condition=(Q(drop_after=None) | Q(drop_after__gt=timedelta(0), drop_after__lte=MAX_DURATION))
                & (Q(backoff_max=None) | Q(backoff_max__gte=timedelta(0), backoff_max__lte=MAX_BACKOFF)),
            ),
        ]
        # Each claim asks which are not in the shared lane.
        indexes = [models.Index(name="jobkind_closed", fields=["name"], condition=Q(paused=True) | Q(limited=True))]

    def __str__(self) -> str:
        return self.name


class JobQuerySet(models.QuerySet["Job"]):
    """Queries for jobs."""

    def pending(self) -> "JobQuerySet":
        """Jobs that nobody holds and that are not finished."""
        return self.filter(status=JobStatus.PENDING)

    def held(self) -> "JobQuerySet":
        """Jobs under a lease."""
        return self.filter(status__in=HELD)

    def held_by(self, bot: "Bot") -> "JobQuerySet":
        """The jobs this bot holds."""
        # Without the status: `claimed_by` is set if and only if it is held (constraint `job_held_has_lease`).
        return self.filter(claimed_by=bot)

    def stuck(self) -> "JobQuerySet":
        """Leases past one of their limits now: unstarted, silent or overdue (DESIGN section 6)."""
        return self.held().filter(past_a_limit())

    def too_late(self) -> "JobQuerySet":
        """Pending jobs that had to be begun by now: nobody gets them, and they are dropped."""
        return self.pending().filter(start_by__lte=Now())

    def with_keys(self, kinds: Any, keys: Any) -> "models.QuerySet[Job, int]":
        """The ids of the jobs of these kinds that were given one of these keys, whether they have it still or not."""
        halves = [
            self.order_by().filter(half, kind__in=kinds, key__in=keys).values_list("pk", flat=True)
            for half in (uniqueness.HOLDS_KEY, uniqueness.LET_KEY_GO)
        ]
        return halves[0].union(halves[1], all=True)

    def finished(self) -> "JobQuerySet":
        """Jobs that have ended."""
        return self.filter(status__in=FINISHED)


class Job(Numbered, OwnTimes, Grouped):
    """One unit of work. Only `jobs.lifecycle` changes its state."""

    # No foreign key in the database is checked for each job: jobs/lifecycle/sql/guard_kind.sql and guard_bot.sql
    # do it for each kind and bot that is deleted.
    kind = models.ForeignKey(
        JobKind, on_delete=models.PROTECT, related_name="jobs", db_index=False, db_constraint=False
    )
    payload = models.JSONField(default=dict, blank=True)
    priority = models.IntegerField(default=0, db_default=0, help_text="Higher goes first.")
    run_at = models.DateTimeField(db_default=Now())
    key = models.CharField(max_length=KEY_LENGTH, null=True, blank=True)
    unique_mode = models.CharField(
        "unique", max_length=10, choices=Unique, default=Unique.ALWAYS, db_default=Unique.ALWAYS
    )
    status = models.CharField(max_length=20, choices=JobStatus, default=JobStatus.PENDING, db_default=JobStatus.PENDING)
    attempt = models.PositiveIntegerField(default=0, db_default=0)
    max_attempts = models.PositiveIntegerField(
        default=3, db_default=3, validators=[MinValueValidator(1), MaxValueValidator(MAX_ATTEMPTS_LIMIT)]
    )
    # Attempts that do not count against the job, because they were released. Used up: `attempts.used`.
    uncounted = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    claimed_by = models.ForeignKey(
        Bot, models.PROTECT, null=True, blank=True, related_name="held_jobs", db_index=False, db_constraint=False
    )
    instance = models.CharField(max_length=100, blank=True, default="", db_default="", editable=False)
    # The id of the instance under which it expired last, until that is judged; and until when others have it first.
    not_for = models.BigIntegerField(null=True, blank=True, editable=False)
    not_for_until = models.DateTimeField(null=True, blank=True, editable=False)
    claimed_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    deadline_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    # Who completed it. claimed_by says who holds it now, and nobody holds a finished job.
    finished_by = models.ForeignKey(
        Bot, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False, db_constraint=False
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    progress = models.PositiveSmallIntegerField(null=True, blank=True)
    progress_note = models.CharField(max_length=NOTE_LENGTH, blank=True, default="", db_default="")
    result = models.JSONField(null=True, blank=True)
    error = models.TextField(blank=True, default="", db_default="")
    # The schedule that made it, by name, which outlives the schedule; and which of its moments.
    schedule = models.CharField(max_length=NAME_LENGTH, blank=True, default="", db_default="", editable=False)
    scheduled_for = models.DateTimeField(null=True, blank=True, editable=False)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        permissions = [
            *((f"{t.verb}_job", f"Can {t.grants}") for t in OPERATIONS.values()),
            ("view_payload", "Can see payloads, results and errors"),
        ]
        constraints = [
            models.CheckConstraint(name="job_status_valid", condition=Q(status__in=JobStatus.values)),
            # Held if and only if somebody holds it, under an attempt, with a moment at which the sweep looks.
            models.CheckConstraint(
                name="job_held_has_lease",
                condition=Q(
                    status__in=HELD,
                    claimed_by__isnull=False,
                    attempt__gte=1,
                    claimed_at__isnull=False,
                    deadline_at__isnull=False,
                )
                | (~Q(status__in=HELD) & Q(claimed_by__isnull=True, deadline_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="job_finished_has_end",
                condition=Q(status__in=FINISHED, finished_at__isnull=False)
                | (~Q(status__in=FINISHED) & Q(finished_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="job_progress_range", condition=Q(progress=None) | Q(progress__gte=0, progress__lte=100)
            ),
            models.CheckConstraint(
                name="job_max_attempts_range",
                condition=Q(max_attempts__gte=1, max_attempts__lte=MAX_ATTEMPTS_LIMIT),
            ),
            models.CheckConstraint(
                name="job_not_for_somebody", condition=Q(not_for_until=None) | Q(not_for__isnull=False)
            ),
            *uniqueness.CONSTRAINTS,
            *own_times.CONSTRAINTS,
            *GROUP_CONSTRAINTS,
        ]
        indexes = [
            *PENDING_INDEXES,
            models.Index(name="job_deadline", fields=["deadline_at"], condition=Q(status__in=HELD)),
            # Not by status, as `job_deadline` is: PostgreSQL might take that one for this, and read all that is held.
            models.Index(name="job_held_by", fields=["claimed_by"], condition=Q(claimed_by__isnull=False)),
            # The lists' (`jobs.lists.index_merge`). Not of what is held, so that a claim need not write it. This and
            # all that follow are read backwards, newest first: new entries at the end of their stretch fill its
            # pages; at its beginning (`-id`) they would split them, and pruning would free none.
            models.Index(name="job_at_rest", fields=["status", "kind", "id"], condition=Q(status__in=AT_REST)),
            # What of a kind ended first (`jobs.sweep.retention`) and lately (the figures), and what a bot has finished.
            models.Index(name="job_finished_of_kind", fields=["kind", "finished_at"], condition=Q(status__in=FINISHED)),
            models.Index(name="job_finished_by", fields=["finished_by", "id"], condition=Q(finished_by__isnull=False)),
            # Which have ended whose expiries are to be judged.
            models.Index(name="job_suspected", fields=["id"], condition=Q(not_for__isnull=False, status__in=FINISHED)),
            # Which jobs of a schedule have not ended: whether its next one would overlap.
            models.Index(
                name="job_of_schedule", fields=["schedule"], condition=~Q(schedule="") & Q(status__in=UNFINISHED)
            ),
            # Which have failed with errors that are alike (`jobs.error_groups`).
            models.Index(
                "kind", fingerprints.fingerprint(), "id", name="job_failed_alike", condition=Q(status=JobStatus.FAILED)
            ),
            *uniqueness.INDEXES,
            *own_times.INDEXES,
        ]

    def __str__(self) -> str:
        return f"{self.kind_id} {self.pk}"

    @property
    def due_since(self) -> datetime:
        """When it became due, or will: a producer may give a `run_at` from before there was a job."""
        return max(self.run_at, self.created_at)
