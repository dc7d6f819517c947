import datetime

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models
from django.db.models import F, Q
from django.db.models.functions import Least, Now

NAME = "^(?!preview\\Z)[A-Za-z0-9][A-Za-z0-9._:-]*\\Z"
NAME_RULE = "Use letters, digits and . _ : -, starting with a letter or digit; `preview` is taken."
KIND = "^[A-Za-z0-9][A-Za-z0-9._:/-]*\\Z"
KIND_RULE = "Use letters, digits and . _ : / -, starting with a letter or digit."
LONGEST = datetime.timedelta(days=36500)


def between(least, most):
    return [django.core.validators.MinValueValidator(least), django.core.validators.MaxValueValidator(most)]


def text(length, **options):
    return models.CharField(max_length=length, blank=True, default="", db_default="", **options)


class Migration(migrations.Migration):
    """Schedules and their ledger, and on each job which schedule made it, for which moment."""

    dependencies = [("bots", "0012_kinds_checked"), ("jobs", "0028_ascending_indexes")]

    operations = [
        migrations.CreateModel(
            name="Schedule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "name",
                    models.CharField(
                        max_length=100,
                        unique=True,
                        validators=[django.core.validators.RegexValidator(NAME, NAME_RULE)],
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        max_length=100, validators=[django.core.validators.RegexValidator(KIND, KIND_RULE)]
                    ),
                ),
                ("payload", models.JSONField(blank=True, default=dict)),
                (
                    "priority",
                    models.IntegerField(
                        db_default=0,
                        default=0,
                        help_text="Higher goes first.",
                        validators=between(-1_000_000, 1_000_000),
                    ),
                ),
                (
                    "key",
                    text(
                        200,
                        help_text="The idempotency key of each of its jobs. Empty: none. While a job has it, moments are "
                        "skipped.",
                    ),
                ),
                (
                    "cron",
                    text(
                        200,
                        verbose_name="cron line",
                        help_text="Minute, hour, day of the month, month, day of the week: 0 3 * * MON-FRI.",
                    ),
                ),
                (
                    "every",
                    models.DurationField(
                        blank=True,
                        help_text="In place of a cron line: an interval, counted from the start.",
                        null=True,
                        validators=between(datetime.timedelta(seconds=1), LONGEST),
                    ),
                ),
                (
                    "time_zone",
                    models.CharField(db_default="UTC", default="UTC", help_text="The cron line's.", max_length=64),
                ),
                (
                    "overlap",
                    models.CharField(
                        choices=[("skip", "skip it"), ("allow", "run both"), ("queue", "let one wait")],
                        db_default="skip",
                        default="skip",
                        help_text="What becomes of a moment while a job of this schedule has not ended.",
                        max_length=10,
                    ),
                ),
                (
                    "catch_up",
                    models.CharField(
                        choices=[("last", "the last one"), ("none", "none"), ("all", "all")],
                        db_default="last",
                        default="last",
                        help_text="Which of the moments are made up for at which nothing could run.",
                        max_length=10,
                    ),
                ),
                (
                    "catch_up_within",
                    models.DurationField(
                        db_default=datetime.timedelta(seconds=3600),
                        default=datetime.timedelta(seconds=3600),
                        help_text="For how long after its time.",
                        validators=between(datetime.timedelta(0), LONGEST),
                    ),
                ),
                ("starts_at", models.DateTimeField(blank=True, null=True, verbose_name="starts")),
                ("ends_at", models.DateTimeField(blank=True, null=True, verbose_name="ends")),
                ("paused", models.BooleanField(db_default=False, default=False, editable=False)),
                ("paused_until", models.DateTimeField(blank=True, editable=False, null=True)),
                ("pause_reason", text(500, editable=False)),
                ("next_at", models.DateTimeField(blank=True, editable=False, null=True, verbose_name="next")),
                ("source", text(300, editable=False)),
                ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
            ],
            options={
                "ordering": ["name"],
                "permissions": [
                    ("run_schedule", "Can run a schedule now"),
                    ("pause_schedule", "Can pause and resume a schedule, and skip its next moment"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        name="schedule_cron_or_every",
                        condition=Q(cron="", every__isnull=False) | (~Q(cron="") & Q(every=None)),
                    ),
                    models.CheckConstraint(
                        name="schedule_durations_bounded",
                        condition=Q(catch_up_within__gte=datetime.timedelta(0), catch_up_within__lte=LONGEST)
                        & (Q(every=None) | Q(every__gte=datetime.timedelta(seconds=1), every__lte=LONGEST)),
                    ),
                    models.CheckConstraint(
                        name="schedule_overlap_valid", condition=Q(overlap__in=["skip", "allow", "queue"])
                    ),
                    models.CheckConstraint(
                        name="schedule_catch_up_valid", condition=Q(catch_up__in=["last", "none", "all"])
                    ),
                    models.CheckConstraint(
                        name="schedule_ends_after_start",
                        condition=Q(starts_at=None) | Q(ends_at=None) | Q(ends_at__gte=F("starts_at")),
                    ),
                    models.CheckConstraint(
                        name="schedule_running_has_no_pause",
                        condition=Q(paused=True) | Q(paused_until__isnull=True, pause_reason=""),
                    ),
                ],
                "indexes": [models.Index(Least("next_at", "paused_until"), name="schedule_due")],
            },
        ),
        migrations.CreateModel(
            name="ScheduleOccurrence",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("due_at", models.DateTimeField()),
                ("until_at", models.DateTimeField()),
                ("count", models.PositiveIntegerField(db_default=1, default=1)),
                (
                    "fate",
                    models.CharField(
                        choices=[
                            ("enqueued", "Enqueued"),
                            ("waiting", "Waiting"),
                            ("skipped", "Skipped"),
                            ("missed", "Missed"),
                            ("caught_up", "caught up"),
                        ],
                        max_length=10,
                    ),
                ),
                ("reason", text(1000)),
                ("at", models.DateTimeField(db_default=Now())),
                (
                    "job",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="jobs.job",
                    ),
                ),
                (
                    "schedule",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="occurrences",
                        to="jobs.schedule",
                    ),
                ),
            ],
            options={
                "ordering": ["-due_at"],
                "default_permissions": (),
                "constraints": [
                    models.CheckConstraint(
                        name="scheduleoccurrence_fate_valid",
                        condition=Q(fate__in=["enqueued", "waiting", "skipped", "missed", "caught_up"]),
                    ),
                    models.CheckConstraint(
                        name="scheduleoccurrence_counted", condition=Q(count__gte=1, until_at__gte=F("due_at"))
                    ),
                    models.UniqueConstraint(name="scheduleoccurrence_once", fields=["schedule", "due_at"]),
                    models.UniqueConstraint(
                        name="scheduleoccurrence_one_waits", fields=["schedule"], condition=Q(fate="waiting")
                    ),
                ],
                "indexes": [models.Index(name="scheduleoccurrence_until", fields=["until_at"])],
            },
        ),
        migrations.AddField("job", "schedule", text(100, editable=False)),
        migrations.AddField("job", "scheduled_for", models.DateTimeField(blank=True, editable=False, null=True)),
    ]
