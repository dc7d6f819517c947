"""The models of statistics: what ended and waited, until when it is added up, what is learned of a kind.

Also the last sweep, and who was refused new jobs, which the incident about it names.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from bots.models import NAME_LENGTH
from jobs.states import Span


def _count(help_text: str = "") -> models.BigIntegerField:
    return models.BigIntegerField(default=0, db_default=0, help_text=help_text)


def _times() -> models.JSONField:
    """How many took how long: counts by the number of the bucket in `jobs.stats.times.FINE`, without empty ones."""
    return models.JSONField(default=dict, db_default={}, blank=True)


class JobRollup(models.Model):
    """What ended and waited in a stretch of time: of one kind or of all (`kind` empty), or of one kind and bot.

    `jobs.stats.rollup` adds each closed minute once, so that no page has to count jobs. Names and numbers in place of
    foreign keys: figures outlive what they count. `Span` says what `start` is, and what has which kind and bot.
    """

    span = models.CharField(max_length=10, choices=Span)
    start = models.DateTimeField()
    kind = models.CharField(max_length=NAME_LENGTH, blank=True, default="", db_default="")
    # 0 where it is of all bots, and in rows of bots for those that are gone.
    bot = models.BigIntegerField(default=0, db_default=0)
    # Jobs that ended, by outcome.
    succeeded = _count()
    failed = _count()
    cancelled = _count()
    # Leases that ended before their job was done, by how.
    attempts_failed = _count("Reported as failed by the bot.")
    given_up = _count("Ended by the sweep for good, by the kind's policy.")
    expired = _count("Ended by the sweep.")
    requeued = _count("Of those that expired: the job went back to pending.")
    released = _count("Released by an operator.")
    handed_back = _count("Given back by the bot.")
    cancelled_held = _count("The job was cancelled while a bot held it.")
    # Leases that ended, in all ways; and those that were given, in the totals only.
    leases_ended = _count()
    leases_given = _count()
    # Seconds, added up: how long jobs had been due when they were claimed, and how long successes ran; and how many.
    waits = _count()
    waited = models.FloatField(default=0, db_default=0)
    ran = models.FloatField(default=0, db_default=0)
    # In the hours and totals of kinds only.
    wait_times = _times()
    run_times = _times()
    # The most jobs that were pending, and due, at one count of the sweep; of bots and in totals there is none. The row
    # of all kinds says whether there was a count: a kind without a figure beside it had none pending.
    pending = models.BigIntegerField(null=True, blank=True)
    due = models.BigIntegerField(null=True, blank=True)

    class Meta:
        verbose_name = "rollup of jobs"
        verbose_name_plural = "rollups of jobs"
        constraints = [
            models.CheckConstraint(name="jobrollup_span_valid", condition=Q(span__in=Span.values)),
            models.UniqueConstraint(name="jobrollup_once", fields=["span", "start", "kind", "bot"]),
        ]

    def __str__(self) -> str:
        whose = f", bot {self.bot}" if self.bot else ""
        return f"{self.kind or 'all kinds'}{whose}, {self.span} from {self.start.isoformat()}"


class RollupState(models.Model):
    """Until when everything is added up, and the last count of pending jobs: one row."""

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY, db_default=ONLY)
    added_until = models.DateTimeField(null=True, blank=True)
    # Stretches that were closed while a transaction that could add to them was open: `since`, `until`, and the
    # `snapshot` in which they were read.
    reopened = models.JSONField(default=list, db_default=[], blank=True)
    # By label of /metrics, when it was counted, and how many seconds that took.
    pending = models.JSONField(default=dict, db_default={}, blank=True)
    pending_at = models.DateTimeField(null=True, blank=True)
    pending_took = models.FloatField(default=0, db_default=0)
    # Until when failures are counted into error groups.
    errors_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "state of the rollup"
        constraints = [models.CheckConstraint(name="rollupstate_only_one", condition=Q(id=1))]

    def __str__(self) -> str:
        return f"added up until {self.added_until.isoformat() if self.added_until else 'never'}"


class Learned(models.Model):
    """A kind's recent successes by run time (`jobs.stats.learned`), and what follows from them: one row a kind."""

    kind = models.OneToOneField("jobs.JobKind", on_delete=models.CASCADE, primary_key=True, related_name="learned")
    # Two blocks of successes, one count for each bucket of `learned.BUCKETS`.
    before = ArrayField(models.PositiveIntegerField())
    latest = ArrayField(models.PositiveIntegerField())
    # `quick` of the last `jobs` took less than `under`.
    jobs = models.PositiveIntegerField()
    quick = models.PositiveIntegerField()
    under = models.DurationField()
    updated_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "learned"
        constraints = [models.CheckConstraint(name="learned_quick_of_jobs", condition=Q(quick__lte=F("jobs")))]

    def __str__(self) -> str:
        return f"{self.kind_id}: {self.quick} of {self.jobs} under {self.under}"


class Refusal(models.Model):
    """Whose new jobs were refused because too many are pending: one row for each kind and caller.

    Names and not foreign keys, as in the history of jobs. `kind` is empty where all jobs together are too many.
    """

    kind = models.CharField(max_length=NAME_LENGTH, blank=True, default="", db_default="")
    by = models.CharField(max_length=200)
    # What a person calls the API key, and its visible part. Empty for the console and for commands.
    key = models.CharField(max_length=200, blank=True, default="", db_default="")
    calls = _count("Calls that were refused since then.")
    since = models.DateTimeField(db_default=Now())
    last_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "refusal of new jobs"
        verbose_name_plural = "refusals of new jobs"
        constraints = [models.UniqueConstraint(name="refusal_once", fields=["kind", "by", "key"])]

    def __str__(self) -> str:
        return f"{self.kind or 'all kinds'}, {self.by}: {self.calls} calls until {self.last_at.isoformat()}"


class SweepRun(models.Model):
    """The last full sweep that came to its end: one row, which `jobs.sweep` writes. A dry run is none, nor one kind's.

    Where it is old, nobody is watching; all moments are the database's.
    """

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    took = models.FloatField(help_text="Seconds.")
    # What `sweep_stuck --json` prints.
    counts = models.JSONField(default=dict)

    class Meta:
        verbose_name = "last sweep"
        constraints = [models.CheckConstraint(name="sweeprun_only_one", condition=Q(id=1))]

    def __str__(self) -> str:
        return f"sweep of {self.finished_at.isoformat()}"
