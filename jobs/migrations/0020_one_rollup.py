"""One rollup in place of four: `jobs_jobrollup`, filled from them so that no figure changes."""

from django.db import migrations, models

SPANS = [
    ("minute", "Minute"),
    ("quarter", "quarter of an hour"),
    ("hour", "Hour"),
    ("bot_hour", "hour of one bot"),
    ("bot_day", "day of one bot"),
    ("total", "everything since the counters began, by the kind as /metrics has it"),
]


def count(help_text=""):
    return models.BigIntegerField(db_default=0, default=0, help_text=help_text)


def times():
    return models.JSONField(blank=True, db_default={}, default=dict)


class Migration(migrations.Migration):
    dependencies = [("jobs", "0018_finished_by_kind")]

    operations = [
        migrations.CreateModel(
            name="JobRollup",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("span", models.CharField(choices=SPANS, max_length=10)),
                ("start", models.DateTimeField()),
                ("kind", models.CharField(blank=True, db_default="", default="", max_length=100)),
                ("bot", models.BigIntegerField(db_default=0, default=0)),
                ("succeeded", count()),
                ("failed", count()),
                ("cancelled", count()),
                ("attempts_failed", count("Reported as failed by the bot.")),
                ("given_up", count("Ended by the sweep for good, by the kind's policy.")),
                ("expired", count("Ended by the sweep.")),
                ("requeued", count("Of those that expired: the job went back to pending.")),
                ("released", count("Released by an operator.")),
                ("handed_back", count("Given back by the bot.")),
                ("cancelled_held", count("The job was cancelled while a bot held it.")),
                ("leases_ended", count()),
                ("leases_given", count()),
                ("waits", count()),
                ("waited", models.FloatField(db_default=0, default=0)),
                ("ran", models.FloatField(db_default=0, default=0)),
                ("wait_times", times()),
                ("run_times", times()),
            ],
            options={
                "verbose_name": "rollup of jobs",
                "verbose_name_plural": "rollups of jobs",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("span__in", [span for span, _ in SPANS])), name="jobrollup_span_valid"
                    ),
                    models.UniqueConstraint(fields=("span", "start", "kind", "bot"), name="jobrollup_once"),
                ],
            },
        ),
        migrations.CreateModel(
            name="RollupState",
            fields=[
                ("id", models.PositiveSmallIntegerField(db_default=1, default=1, primary_key=True, serialize=False)),
                ("added_until", models.DateTimeField(blank=True, null=True)),
                ("reopened", models.JSONField(blank=True, db_default=[], default=list)),
                ("pending", models.JSONField(blank=True, db_default={}, default=dict)),
                ("pending_at", models.DateTimeField(blank=True, null=True)),
                ("pending_took", models.FloatField(db_default=0, default=0)),
            ],
            options={
                "verbose_name": "state of the rollup",
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="rollupstate_only_one")
                ],
            },
        ),
    ]
