import datetime
import uuid

import django.contrib.postgres.functions
import django.core.validators
from django.db import migrations, models

import alerts.models


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0002_incidents"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="delivery",
            options={
                "ordering": ["-id"],
                "permissions": [("retry_delivery", "Can send a given-up delivery again")],
                "verbose_name_plural": "deliveries",
            },
        ),
        migrations.AddField(
            model_name="channel",
            name="critical_breaks_quiet",
            field=models.BooleanField(db_default=True, default=True),
        ),
        migrations.AddField(
            model_name="channel",
            name="sender",
            field=models.UUIDField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="channel",
            name="sender_until",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="channel",
            name="shown",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=300),
        ),
        migrations.AddField(
            model_name="delivery",
            name="first_tried_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="delivery",
            name="outcome",
            field=models.TextField(blank=True, db_default="", default=""),
        ),
        migrations.AddField(
            model_name="delivery",
            name="trying_since",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="delivery",
            name="uid",
            field=models.UUIDField(
                db_default=django.contrib.postgres.functions.RandomUUID(),
                default=uuid.uuid4,
                editable=False,
                unique=True,
            ),
        ),
        migrations.AddField(
            model_name="delivery",
            name="unsure",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AlterField(
            model_name="channel",
            name="after",
            field=models.DurationField(
                db_default=datetime.timedelta(0),
                default=datetime.timedelta(0),
                validators=[django.core.validators.MinValueValidator(datetime.timedelta(0))],
            ),
        ),
        migrations.AlterField(
            model_name="channel",
            name="secret",
            field=models.CharField(blank=True, default=alerts.models.new_secret, editable=False, max_length=100),
        ),
        migrations.AddConstraint(
            model_name="channel",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("quiet_from__isnull", True), ("quiet_until__isnull", True)),
                    models.Q(("quiet_from__isnull", False), ("quiet_until__isnull", False)),
                    _connector="OR",
                ),
                name="channel_quiet_hours_whole",
            ),
        ),
    ]
