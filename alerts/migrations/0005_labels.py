import datetime

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    """Labels of channels and deliveries. State only: no SQL."""

    dependencies = [
        ("alerts", "0001_squashed_0004_incident_back_at"),
    ]

    operations = [
        migrations.AlterField(
            model_name="channel",
            name="after",
            field=models.DurationField(
                db_default=datetime.timedelta(0),
                default=datetime.timedelta(0),
                validators=[django.core.validators.MinValueValidator(datetime.timedelta(0))],
                verbose_name="delay",
            ),
        ),
        migrations.AlterField(
            model_name="channel",
            name="again_every",
            field=models.DurationField(
                blank=True,
                null=True,
                validators=[django.core.validators.MinValueValidator(datetime.timedelta(seconds=60))],
                verbose_name="repeat every",
            ),
        ),
        migrations.AlterField(
            model_name="channel",
            name="min_severity",
            field=models.CharField(
                choices=[("warning", "warning"), ("critical", "critical")],
                default="warning",
                max_length=10,
                verbose_name="minimum severity",
            ),
        ),
        migrations.AlterField(
            model_name="channel",
            name="quiet_from",
            field=models.TimeField(blank=True, null=True, verbose_name="quiet hours start"),
        ),
        migrations.AlterField(
            model_name="channel",
            name="quiet_until",
            field=models.TimeField(blank=True, null=True, verbose_name="quiet hours end"),
        ),
        migrations.AlterField(
            model_name="channel",
            name="way",
            field=models.CharField(
                choices=[("apprise", "Apprise (mail, Slack, …)"), ("webhook", "Webhook (signed JSON)")],
                default="apprise",
                max_length=10,
                verbose_name="type",
            ),
        ),
        migrations.AlterField(
            model_name="delivery",
            name="moment",
            field=models.CharField(
                choices=[("opened", "opened"), ("worse", "got worse"), ("again", "reminder"), ("resolved", "resolved")],
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="delivery",
            name="status",
            field=models.CharField(
                choices=[
                    ("waiting", "waiting"),
                    ("sent", "sent"),
                    ("dropped", "no longer needed"),
                    ("given_up", "given up"),
                ],
                default="waiting",
                max_length=10,
            ),
        ),
    ]
