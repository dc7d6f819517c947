"""What the console needs: the tally of what ended, and a verb that changes a job's priority.

The constraint on verbs is added without looking at the rows; `0007` looks at them, and makes the indexes, while bots
go on working.
"""

import django.contrib.postgres.fields
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models

VERBS = ["release", "expire", "fail", "retry", "cancel", "flag", "late", "accept", "prioritise"]


class Migration(migrations.Migration):
    dependencies = [
        ("bots", "0003_validate_health_status"),
        ("jobs", "0005_held_by_holder"),
    ]

    operations = [
        # Rather give up, and be run again, than queue behind a long transaction with every bot queueing behind us.
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="Tally",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "span",
                    models.CharField(
                        choices=[("minute", "Minute"), ("quarter", "quarter of an hour"), ("hour", "Hour")],
                        max_length=10,
                    ),
                ),
                ("start", models.DateTimeField()),
                ("kind", models.CharField(blank=True, db_default="", default="", max_length=100)),
                ("succeeded", models.PositiveIntegerField(default=0)),
                ("failed", models.PositiveIntegerField(default=0)),
                ("cancelled", models.PositiveIntegerField(default=0)),
                ("waited", models.FloatField(default=0)),
                ("waits", models.PositiveIntegerField(default=0)),
                ("ran", models.FloatField(default=0)),
                (
                    "runs",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.PositiveIntegerField(), default=list, size=None
                    ),
                ),
            ],
            options={
                "verbose_name": "tally",
                "verbose_name_plural": "tallies",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("span__in", ["minute", "quarter", "hour"])), name="tally_span_valid"
                    ),
                    models.UniqueConstraint(fields=("span", "kind", "start"), name="tally_once"),
                ],
            },
        ),
        migrations.AlterModelOptions(
            name="job",
            options={
                "ordering": ["-id"],
                "permissions": [
                    ("release_job", "Can release a job"),
                    ("retry_job", "Can retry a job"),
                    ("cancel_job", "Can cancel a job"),
                    ("accept_job", "Can accept a late result"),
                    ("prioritise_job", "Can change a job's priority"),
                ],
            },
        ),
        migrations.AlterField(
            model_name="jobevent",
            name="verb",
            field=models.CharField(choices=[(verb, verb.capitalize()) for verb in VERBS], max_length=20),
        ),
        migrations.RemoveConstraint(model_name="jobevent", name="jobevent_verb_valid"),
        AddConstraintNotValid(
            model_name="jobevent",
            constraint=models.CheckConstraint(condition=models.Q(("verb__in", VERBS)), name="jobevent_verb_valid"),
        ),
    ]
