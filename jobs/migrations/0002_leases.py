"""Who holds a job, what has happened to it, and what the database refuses."""

import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        # Not bots.0002: a database can go back to bots.0001 with its jobs in place.
        ("bots", "0001_initial"),
        ("jobs", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="job",
            name="claimed_by",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="held_jobs",
                to="bots.bot",
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="finished_by",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="bots.bot",
            ),
        ),
        migrations.CreateModel(
            name="JobEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("attempt", models.PositiveIntegerField()),
                (
                    "verb",
                    models.CharField(
                        choices=[
                            ("release", "Release"),
                            ("expire", "Expire"),
                            ("fail", "Fail"),
                            ("retry", "Retry"),
                            ("cancel", "Cancel"),
                            ("flag", "Flag"),
                            ("late", "Late"),
                            ("accept", "Accept"),
                        ],
                        max_length=20,
                    ),
                ),
                (
                    "from_status",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("claimed", "Claimed"),
                            ("processing", "Processing"),
                            ("succeeded", "Succeeded"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                        ],
                        max_length=20,
                        verbose_name="from",
                    ),
                ),
                (
                    "to_status",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("claimed", "Claimed"),
                            ("processing", "Processing"),
                            ("succeeded", "Succeeded"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                        ],
                        max_length=20,
                        verbose_name="to",
                    ),
                ),
                (
                    "actor",
                    models.CharField(
                        choices=[("operator", "Operator"), ("bot", "Bot"), ("sweep", "Sweep")], max_length=10
                    ),
                ),
                ("by", models.CharField(blank=True, db_default="", default="", max_length=200)),
                ("reason", models.TextField(blank=True, db_default="", default="")),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("detail", models.JSONField(blank=True, default=dict)),
                (
                    "bot",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="events",
                        to="bots.bot",
                    ),
                ),
                (
                    "job",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="events",
                        to="jobs.job",
                    ),
                ),
            ],
            options={
                "verbose_name": "job event",
                "ordering": ["-id"],
                "indexes": [
                    models.Index(fields=["job", "id"], name="jobevent_by_job"),
                    models.Index(fields=["bot", "-at"], name="jobevent_by_bot"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("verb__in", ["release", "expire", "fail", "retry", "cancel", "flag", "late", "accept"])
                        ),
                        name="jobevent_verb_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("actor__in", ["operator", "bot", "sweep"])), name="jobevent_actor_valid"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "from_status__in",
                                ["pending", "claimed", "processing", "succeeded", "failed", "cancelled"],
                            )
                        ),
                        name="jobevent_from_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("to_status__in", ["pending", "claimed", "processing", "succeeded", "failed", "cancelled"])
                        ),
                        name="jobevent_to_valid",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("verb", "late")), fields=("job", "attempt"), name="jobevent_late_once"
                    ),
                ],
            },
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("status", "pending")), fields=["-priority", "run_at", "id"], name="job_pending"
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("status", "pending")),
                fields=["kind", "-priority", "run_at", "id"],
                name="job_pending_by_kind",
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("status__in", ("claimed", "processing"))),
                fields=["deadline_at"],
                name="job_deadline",
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("status__in", ("claimed", "processing"))), fields=["claimed_by"], name="job_held_by"
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(fields=["status", "-id"], name="job_by_status"),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(fields=["kind", "-id"], name="job_by_kind"),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("status__in", ["pending", "claimed", "processing", "succeeded", "failed", "cancelled"])
                ),
                name="job_status_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("attempt__gte", 1),
                        ("claimed_at__isnull", False),
                        ("claimed_by__isnull", False),
                        ("deadline_at__isnull", False),
                        ("status__in", ("claimed", "processing")),
                    ),
                    models.Q(
                        models.Q(("status__in", ("claimed", "processing")), _negated=True),
                        ("claimed_by__isnull", True),
                        ("deadline_at__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="job_held_has_lease",
            ),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("finished_at__isnull", False), ("status__in", ("succeeded", "failed", "cancelled"))),
                    models.Q(
                        models.Q(("status__in", ("succeeded", "failed", "cancelled")), _negated=True),
                        ("finished_at__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="job_finished_has_end",
            ),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("progress", None), models.Q(("progress__gte", 0), ("progress__lte", 100)), _connector="OR"
                ),
                name="job_progress_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=models.Q(("max_attempts__gte", 1), ("max_attempts__lte", 1000)), name="job_max_attempts_range"
            ),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.UniqueConstraint(
                condition=models.Q(("key__isnull", False)), fields=("kind", "key"), name="job_key_once_per_kind"
            ),
        ),
    ]
