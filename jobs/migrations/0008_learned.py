"""What is learned of a kind from its own successes, and limits that use it.

The column on the kind is what claims, heartbeats and the sweep read; it is empty until the sweep has seen enough.
"""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0007_console_indexes"),
    ]

    operations = [
        # Rather give up, and be run again, than queue behind a long transaction with every bot queueing behind us.
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="jobkind",
            name="learned_run_within",
            field=models.DurationField(blank=True, editable=False, null=True),
        ),
        migrations.AlterField(
            model_name="jobkind",
            name="run_within",
            field=models.DurationField(
                blank=True,
                help_text="How long a job may run. Empty: learned from the kind's own successes.",
                null=True,
            ),
        ),
        migrations.CreateModel(
            name="Learned",
            fields=[
                (
                    "kind",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="learned",
                        serialize=False,
                        to="jobs.jobkind",
                    ),
                ),
                (
                    "before",
                    django.contrib.postgres.fields.ArrayField(base_field=models.PositiveIntegerField(), size=None),
                ),
                (
                    "latest",
                    django.contrib.postgres.fields.ArrayField(base_field=models.PositiveIntegerField(), size=None),
                ),
                ("jobs", models.PositiveIntegerField()),
                ("quick", models.PositiveIntegerField()),
                ("under", models.DurationField()),
                ("updated_at", models.DateTimeField()),
            ],
            options={
                "verbose_name_plural": "learned",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("quick__lte", models.F("jobs"))), name="learned_quick_of_jobs"
                    )
                ],
            },
        ),
    ]
