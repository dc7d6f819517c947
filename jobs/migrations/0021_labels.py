import datetime

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    """Labels and help texts of kinds. State only: no SQL."""

    dependencies = [
        ("jobs", "0020_one_rollup"),
    ]

    operations = [
        migrations.AlterField(
            model_name="jobkind",
            name="backoff",
            field=models.DurationField(
                db_default=datetime.timedelta(seconds=10),
                default=datetime.timedelta(seconds=10),
                help_text="The delay before the second attempt. It doubles with each further one.",
            ),
        ),
        migrations.AlterField(
            model_name="jobkind",
            name="max_attempts",
            field=models.PositiveIntegerField(
                db_default=3,
                default=3,
                help_text="Attempts for each job, unless the job sets its own number.",
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(1000),
                ],
            ),
        ),
        migrations.AlterField(
            model_name="jobkind",
            name="paused",
            field=models.BooleanField(
                db_default=False, default=False, help_text="No jobs of a paused kind are assigned."
            ),
        ),
        migrations.AlterField(
            model_name="jobkind",
            name="run_within",
            field=models.DurationField(
                blank=True, help_text="How long a job may run. Empty: learned from the kind's successes.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="jobkind",
            name="wait_within",
            field=models.DurationField(
                blank=True,
                help_text="How long a due job may wait before an incident opens. Empty: 1 hour, the default. 0: never.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="jobkind",
            name="when_overdue",
            field=models.CharField(
                choices=[("release", "release (attempt counted)"), ("flag", "flag only"), ("fail", "fail")],
                db_default="flag",
                default="flag",
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="jobkind",
            name="when_silent",
            field=models.CharField(
                choices=[("release", "release (attempt counted)"), ("flag", "flag only"), ("fail", "fail")],
                db_default="release",
                default="release",
                max_length=10,
            ),
        ),
    ]
