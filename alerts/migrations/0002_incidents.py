"""What incidents need to resolve by themselves, and not to flicker."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="incident",
            name="clear_since",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="incident",
            name="noted_event",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="incident",
            name="reopened",
            field=models.PositiveSmallIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="incident",
            name="usual",
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.AddField(
            model_name="incidentbot",
            name="clear_since",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="incident",
            name="cause",
            field=models.CharField(
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
        migrations.AddIndex(
            model_name="incident",
            index=models.Index(fields=["resolved_at"], name="incident_resolved"),
        ),
    ]
