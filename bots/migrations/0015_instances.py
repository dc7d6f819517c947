"""Instances of bots: those of bots that are alone come over, and the restarts that were asked for.

A pause of a bot, or of one of its instances, has a reason and may end by itself. There are few bots, so building the
index of pauses takes a moment.
"""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Now

COME_OVER = """
    INSERT INTO bots_instance (bot_id, name, version, started_at, last_seen_at, restart_requested_at)
    SELECT id, instance, version, COALESCE(last_seen_at, created_at), COALESCE(last_seen_at, created_at),
           restart_requested_at
    FROM bots_bot WHERE instance <> '' OR restart_requested_at IS NOT NULL
"""
GO_BACK = """
    UPDATE bots_bot b SET restart_requested_at = i.restart_requested_at
    FROM bots_instance i WHERE i.bot_id = b.id AND i.restart_requested_at IS NOT NULL AND i.ended_at IS NULL
"""


EMPTY = {"blank": True, "db_default": "", "default": ""}


def text():
    return models.CharField(max_length=100, **EMPTY)


class Migration(migrations.Migration):
    dependencies = [("bots", "0014_validate_acts")]

    operations = [
        migrations.AddField("bot", "instances_changed_at", models.DateTimeField(blank=True, editable=False, null=True)),
        migrations.AddField("bot", "paused_until", models.DateTimeField(blank=True, editable=False, null=True)),
        migrations.AddField("bot", "pause_reason", models.TextField(editable=False, **EMPTY)),
        migrations.AddIndex(
            "bot",
            models.Index(
                fields=["paused_until"], condition=models.Q(("paused_until__isnull", False)), name="bot_pause_ends"
            ),
        ),
        migrations.CreateModel(
            "Instance",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(blank=True, max_length=100)),
                ("identity", text()),
                ("host", text()),
                ("pid", models.PositiveIntegerField(blank=True, null=True)),
                ("version", text()),
                ("started_at", models.DateTimeField(db_default=Now())),
                ("last_seen_at", models.DateTimeField(db_default=Now())),
                (
                    "asked_kinds",
                    django.contrib.postgres.fields.ArrayField(models.CharField(max_length=100), blank=True, null=True),
                ),
                ("slots", models.PositiveIntegerField(blank=True, null=True)),
                ("slots_lost", models.PositiveIntegerField(db_default=0, default=0)),
                ("paused", models.BooleanField(db_default=False, default=False)),
                ("paused_until", models.DateTimeField(blank=True, null=True)),
                ("pause_reason", models.TextField(**EMPTY)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("replaced_by", text()),
                ("restart_requested_at", models.DateTimeField(blank=True, null=True)),
                (
                    "bot",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="instances",
                        to="bots.bot",
                    ),
                ),
            ],
            options={
                "ordering": ["-last_seen_at"],
                "default_permissions": (),
                "indexes": [
                    models.Index(
                        fields=["bot", "identity"],
                        condition=models.Q(("ended_at__isnull", True)),
                        name="instance_current",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("bot", "name"), name="instance_once_per_bot"),
                    models.CheckConstraint(
                        condition=models.Q(("replaced_by", ""), ("ended_at__isnull", False), _connector="OR"),
                        name="instance_replaced_ended",
                    ),
                ],
            },
        ),
        migrations.RunSQL(COME_OVER, GO_BACK),
    ]
