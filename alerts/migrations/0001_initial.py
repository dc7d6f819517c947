import datetime

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import alerts.models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("bots", "0005_what_the_sweep_asks"),
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
                ("secret", models.CharField(blank=True, default=alerts.models.new_secret, max_length=100)),
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
                ("after", models.DurationField(db_default=datetime.timedelta(0), default=datetime.timedelta(0))),
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
                            ("quarantined", "a bot is in quarantine"),
                            ("down", "a bot is down"),
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
            ],
            options={
                "ordering": ["-id"],
                "permissions": [("acknowledge_incident", "Can acknowledge an incident")],
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
            ],
            options={
                "verbose_name_plural": "deliveries",
                "ordering": ["-id"],
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
