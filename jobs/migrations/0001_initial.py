"""Jobs and their kinds. What ties a job to a bot comes with `0002`, when there are bots."""

import datetime

import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="JobKind",
            fields=[
                (
                    "name",
                    models.CharField(
                        max_length=100,
                        primary_key=True,
                        serialize=False,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[A-Za-z0-9][A-Za-z0-9._:/-]*\\Z",
                                "Use letters, digits and . _ : / -, starting with a letter or digit.",
                            )
                        ],
                    ),
                ),
                (
                    "paused",
                    models.BooleanField(
                        db_default=False, default=False, help_text="Jobs of a paused kind are not handed out."
                    ),
                ),
                (
                    "max_attempts",
                    models.PositiveIntegerField(
                        db_default=3,
                        default=3,
                        help_text="How often a job is tried, unless it brings its own figure.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(1000),
                        ],
                    ),
                ),
                (
                    "backoff",
                    models.DurationField(
                        db_default=datetime.timedelta(seconds=10),
                        default=datetime.timedelta(seconds=10),
                        help_text="The delay before the second attempt; it doubles with each one after.",
                    ),
                ),
                (
                    "start_within",
                    models.DurationField(
                        db_default=datetime.timedelta(seconds=300), default=datetime.timedelta(seconds=300)
                    ),
                ),
                (
                    "heartbeat_within",
                    models.DurationField(
                        db_default=datetime.timedelta(seconds=120), default=datetime.timedelta(seconds=120)
                    ),
                ),
                (
                    "run_within",
                    models.DurationField(
                        blank=True,
                        help_text="How long a job may run. Empty: the site's default (10 minutes).",
                        null=True,
                    ),
                ),
                (
                    "when_silent",
                    models.CharField(
                        choices=[
                            ("release", "give the job back (the attempt counts)"),
                            ("flag", "only say so, and leave the job where it is"),
                            ("fail", "end the job as failed"),
                        ],
                        db_default="release",
                        default="release",
                        max_length=10,
                    ),
                ),
                (
                    "when_overdue",
                    models.CharField(
                        choices=[
                            ("release", "give the job back (the attempt counts)"),
                            ("flag", "only say so, and leave the job where it is"),
                            ("fail", "end the job as failed"),
                        ],
                        db_default="flag",
                        default="flag",
                        max_length=10,
                    ),
                ),
                (
                    "keep_for",
                    models.DurationField(
                        db_default=datetime.timedelta(days=30),
                        default=datetime.timedelta(days=30),
                        help_text="How long finished jobs are kept.",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
            ],
            options={
                "verbose_name": "kind",
                "ordering": ["name"],
                "permissions": [("pause_jobkind", "Can pause and resume a kind")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("when_silent__in", ["release", "flag", "fail"])),
                        name="jobkind_when_silent_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("when_overdue__in", ["release", "flag", "fail"])),
                        name="jobkind_when_overdue_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("max_attempts__gte", 1), ("max_attempts__lte", 1000)),
                        name="jobkind_max_attempts_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("backoff__gte", datetime.timedelta(0)),
                            ("heartbeat_within__gt", datetime.timedelta(0)),
                            ("start_within__gt", datetime.timedelta(0)),
                            models.Q(("run_within", None), ("run_within__gt", datetime.timedelta(0)), _connector="OR"),
                        ),
                        name="jobkind_limits_positive",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Job",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("payload", models.JSONField(blank=True, default=dict)),
                ("priority", models.IntegerField(db_default=0, default=0, help_text="Higher goes first.")),
                ("run_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("key", models.CharField(blank=True, max_length=200, null=True)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("claimed", "Claimed"),
                            ("processing", "Processing"),
                            ("succeeded", "Succeeded"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                        ],
                        db_default="pending",
                        default="pending",
                        max_length=20,
                    ),
                ),
                ("attempt", models.PositiveIntegerField(db_default=0, default=0)),
                (
                    "max_attempts",
                    models.PositiveIntegerField(
                        db_default=3,
                        default=3,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(1000),
                        ],
                    ),
                ),
                ("uncounted", models.PositiveIntegerField(db_default=0, default=0, editable=False)),
                ("instance", models.CharField(blank=True, db_default="", default="", editable=False, max_length=100)),
                ("claimed_at", models.DateTimeField(blank=True, null=True)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("heartbeat_at", models.DateTimeField(blank=True, null=True)),
                ("deadline_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("progress", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("progress_note", models.CharField(blank=True, db_default="", default="", max_length=500)),
                ("result", models.JSONField(blank=True, null=True)),
                ("error", models.TextField(blank=True, db_default="", default="")),
                (
                    "kind",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="jobs",
                        to="jobs.jobkind",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "permissions": [
                    ("release_job", "Can release a job"),
                    ("retry_job", "Can retry a job"),
                    ("cancel_job", "Can cancel a job"),
                    ("accept_job", "Can accept a late result"),
                ],
            },
        ),
    ]
