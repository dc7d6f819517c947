"""Incidents, the channels that hear of them, and what was sent.

This stands for 0001 to 0004 of commit 430f651. A database that has them all has nothing to run. `migrate` refuses one
that has only some of them.
"""

import datetime
import uuid

import django.contrib.postgres.fields
import django.contrib.postgres.functions
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import alerts.models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        # The first, so that a database can go back to it with its incidents in place.
        ("bots", "0001_initial"),
    ]

    replaces = [
        ("alerts", "0001_initial"),
        ("alerts", "0002_incidents"),
        ("alerts", "0003_channels_and_outbox"),
        ("alerts", "0004_incident_back_at"),
    ]

    operations = [
        migrations.CreateModel(
            name="Channel",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100, unique=True)),
                (
                    "way",
                    models.CharField(
                        choices=[("apprise", "a service that Apprise can reach"), ("webhook", "signed JSON to a URL")],
                        default="apprise",
                        max_length=10,
                    ),
                ),
                ("address", models.TextField()),
                (
                    "secret",
                    models.CharField(blank=True, default=alerts.models.new_secret, editable=False, max_length=100),
                ),
                ("enabled", models.BooleanField(db_default=True, default=True)),
                (
                    "min_severity",
                    models.CharField(
                        choices=[("warning", "warning"), ("critical", "critical")], default="warning", max_length=10
                    ),
                ),
                (
                    "kinds",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=100), blank=True, default=list, size=None
                    ),
                ),
                (
                    "bots",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=100), blank=True, default=list, size=None
                    ),
                ),
                (
                    "after",
                    models.DurationField(
                        db_default=datetime.timedelta(0),
                        default=datetime.timedelta(0),
                        validators=[django.core.validators.MinValueValidator(datetime.timedelta(0))],
                    ),
                ),
                (
                    "again_every",
                    models.DurationField(
                        blank=True,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(datetime.timedelta(seconds=60))],
                    ),
                ),
                ("quiet_from", models.TimeField(blank=True, null=True)),
                ("quiet_until", models.TimeField(blank=True, null=True)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("sent_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("failing_since", models.DateTimeField(blank=True, editable=False, null=True)),
                ("failures", models.PositiveIntegerField(db_default=0, default=0, editable=False)),
                ("last_error", models.TextField(blank=True, db_default="", default="", editable=False)),
                ("critical_breaks_quiet", models.BooleanField(db_default=True, default=True)),
                ("sender", models.UUIDField(blank=True, editable=False, null=True)),
                ("sender_until", models.DateTimeField(blank=True, editable=False, null=True)),
                ("shown", models.CharField(blank=True, db_default="", default="", editable=False, max_length=300)),
            ],
            options={
                "ordering": ["name"],
                "permissions": [("test_channel", "Can send a test to a channel")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("way__in", ["apprise", "webhook"])), name="channel_way_valid"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("min_severity__in", ["warning", "critical"])), name="channel_severity_valid"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("quiet_from__isnull", True), ("quiet_until__isnull", True)),
                            models.Q(("quiet_from__isnull", False), ("quiet_until__isnull", False)),
                            _connector="OR",
                        ),
                        name="channel_quiet_hours_whole",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Incident",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "cause",
                    models.CharField(
                        choices=[
                            ("stuck", "bots are stuck"),
                            ("quarantined", "bots are in quarantine"),
                            ("down", "bots are down"),
                            ("waiting", "jobs wait too long"),
                            ("failing", "jobs fail more often than usual"),
                            ("unswept", "the sweep has not run"),
                        ],
                        max_length=20,
                    ),
                ),
                ("about", models.CharField(blank=True, db_default="", default="", max_length=100)),
                ("kind", models.CharField(blank=True, db_default="", default="", max_length=100)),
                (
                    "severity",
                    models.CharField(choices=[("warning", "warning"), ("critical", "critical")], max_length=10),
                ),
                ("title", models.CharField(max_length=300)),
                ("reason", models.TextField(blank=True, db_default="", default="")),
                ("opened_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("changed_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("state", models.PositiveIntegerField(db_default=1, default=1)),
                ("acknowledged_at", models.DateTimeField(blank=True, null=True)),
                ("acknowledged_by", models.CharField(blank=True, db_default="", default="", max_length=200)),
                ("resolved_at", models.DateTimeField(blank=True, null=True)),
                ("clear_since", models.DateTimeField(blank=True, null=True)),
                ("noted_event", models.BigIntegerField(db_default=0, default=0)),
                ("reopened", models.PositiveSmallIntegerField(db_default=0, default=0)),
                ("usual", models.JSONField(blank=True, default=dict)),
                ("back_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ["-id"],
                "permissions": [("acknowledge_incident", "Can acknowledge an incident")],
                "indexes": [models.Index(fields=["resolved_at"], name="incident_resolved")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("cause__in", ["stuck", "quarantined", "down", "waiting", "failing", "unswept"])
                        ),
                        name="incident_cause_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("severity__in", ["warning", "critical"])), name="incident_severity_valid"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("resolved_at__isnull", True)),
                        fields=("cause", "about"),
                        name="incident_open_once",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="IncidentNote",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("by", models.CharField(blank=True, db_default="", default="", max_length=200)),
                ("text", models.TextField()),
                (
                    "incident",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="notes", to="alerts.incident"
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "moment",
                    models.CharField(
                        choices=[
                            ("opened", "opened"),
                            ("worse", "got worse"),
                            ("again", "goes on"),
                            ("resolved", "resolved"),
                        ],
                        max_length=10,
                    ),
                ),
                ("state", models.PositiveIntegerField()),
                ("round", models.PositiveIntegerField(db_default=0, default=0)),
                ("message", models.JSONField(default=dict)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("waiting", "waiting"),
                            ("sent", "sent"),
                            ("dropped", "not needed any more"),
                            ("given_up", "given up"),
                        ],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("due_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("tries", models.PositiveIntegerField(db_default=0, default=0)),
                ("sent_at", models.DateTimeField(blank=True, null=True)),
                ("error", models.TextField(blank=True, db_default="", default="")),
                (
                    "channel",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="deliveries", to="alerts.channel"
                    ),
                ),
                (
                    "incident",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="deliveries", to="alerts.incident"
                    ),
                ),
                ("first_tried_at", models.DateTimeField(blank=True, null=True)),
                ("outcome", models.TextField(blank=True, db_default="", default="")),
                ("trying_since", models.DateTimeField(blank=True, null=True)),
                (
                    "uid",
                    models.UUIDField(
                        db_default=django.contrib.postgres.functions.RandomUUID(),
                        default=uuid.uuid4,
                        editable=False,
                        unique=True,
                    ),
                ),
                ("unsure", models.BooleanField(db_default=False, default=False)),
            ],
            options={
                "verbose_name_plural": "deliveries",
                "ordering": ["-id"],
                "permissions": [("retry_delivery", "Can send a given-up delivery again")],
                "indexes": [
                    models.Index(condition=models.Q(("status", "waiting")), fields=["due_at"], name="delivery_due")
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("moment__in", ["opened", "worse", "again", "resolved"])),
                        name="delivery_moment_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["waiting", "sent", "dropped", "given_up"])),
                        name="delivery_status_valid",
                    ),
                    models.UniqueConstraint(
                        fields=("channel", "incident", "moment", "state", "round"), name="delivery_once"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="IncidentBot",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100)),
                ("job_id", models.BigIntegerField(blank=True, null=True)),
                ("reason", models.TextField(blank=True, db_default="", default="")),
                ("since", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("until", models.DateTimeField(blank=True, null=True)),
                (
                    "bot",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to="bots.bot"
                    ),
                ),
                (
                    "incident",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="bots", to="alerts.incident"
                    ),
                ),
                ("clear_since", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ["id"],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("until__isnull", True)),
                        fields=("incident", "name"),
                        name="incidentbot_once",
                    )
                ],
            },
        ),
    ]
