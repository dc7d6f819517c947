"""Bots and API keys. A bot's health may be one of two values here."""

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("jobs", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Bot",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100, unique=True)),
                (
                    "status",
                    models.CharField(
                        choices=[("idle", "Idle"), ("busy", "Busy"), ("down", "Down")],
                        db_default="idle",
                        default="idle",
                        max_length=20,
                    ),
                ),
                (
                    "health_status",
                    models.CharField(
                        choices=[
                            ("normal", "Normal"),
                            ("potentially_stuck", "potentially stuck"),
                            ("unhealthy", "Unhealthy"),
                        ],
                        db_default="normal",
                        default="normal",
                        max_length=20,
                    ),
                ),
                ("health_reason", models.TextField(blank=True, db_default="", default="")),
                ("health_checked_at", models.DateTimeField(blank=True, null=True)),
                (
                    "stuck_job",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="jobs.job",
                    ),
                ),
                ("last_seen_at", models.DateTimeField(blank=True, null=True)),
                (
                    "kinds",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=100),
                        blank=True,
                        default=list,
                        help_text="The kinds of job this bot takes, separated by commas. Empty means any.",
                        size=None,
                    ),
                ),
                (
                    "capacity",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="How many jobs it may hold at once. Empty: as many as it asks for, at most 1000 a call.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(1000),
                        ],
                    ),
                ),
                (
                    "paused",
                    models.BooleanField(db_default=False, default=False, help_text="A paused bot gets no new jobs."),
                ),
                ("version", models.CharField(blank=True, db_default="", default="", max_length=100)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("instance", models.CharField(blank=True, db_default="", default="", editable=False, max_length=100)),
                ("restart_requested_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("quarantined_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("cleared_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("token_digest", models.BinaryField(max_length=32, null=True, unique=True)),
                (
                    "token_prefix",
                    models.CharField(blank=True, db_default="", default="", editable=False, max_length=12),
                ),
            ],
            options={
                "ordering": ["name"],
                "permissions": [
                    ("pause_bot", "Can pause and resume a bot, and clear its quarantine"),
                    ("restart_bot", "Can restart a bot"),
                    ("rotate_bot_token", "Can rotate and revoke a bot's token"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(blank=True, default="", help_text="What it is for.", max_length=100)),
                ("prefix", models.CharField(editable=False, max_length=12)),
                ("digest", models.BinaryField(max_length=32, unique=True)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("last_used_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="api_keys",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "API key",
                "ordering": ["-created_at"],
                "permissions": [("revoke_apikey", "Can revoke an API key")],
            },
        ),
        migrations.AddConstraint(
            model_name="bot",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["idle", "busy", "down"])), name="bot_status_valid"
            ),
        ),
        # Two values, as this system first had them. 0002 tells the rest of the story.
        migrations.AddConstraint(
            model_name="bot",
            constraint=models.CheckConstraint(
                condition=models.Q(("health_status__in", ["normal", "potentially_stuck"])),
                name="bot_health_status_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="bot",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("capacity", None), models.Q(("capacity__gte", 1), ("capacity__lte", 1000)), _connector="OR"
                ),
                name="bot_capacity_range",
            ),
        ),
    ]
