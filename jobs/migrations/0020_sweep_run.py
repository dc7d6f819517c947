"""The last full sweep is on record: one row, so that a site can tell whether anybody is watching."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0012_ended_at"),
    ]

    operations = [
        migrations.CreateModel(
            name="SweepRun",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("started_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField()),
                ("took", models.FloatField(help_text="Seconds.")),
                ("counts", models.JSONField(default=dict)),
            ],
            options={
                "verbose_name": "last sweep",
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="sweeprun_only_one")],
            },
        ),
    ]
