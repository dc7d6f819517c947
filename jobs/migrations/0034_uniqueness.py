from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models

VERBS = ["release", "expire", "fail", "retry", "cancel", "flag", "late", "accept", "prioritise", "replace"]
MODES = {
    "always": "always, until it is deleted", "unfinished": "until it has ended",
    "pending": "until it is claimed for the first time",
}  # fmt: skip


class Migration(migrations.Migration):
    """A job says how long it keeps its key; until now that is always. A new job may replace one."""

    dependencies = [("jobs", "0033_suspicion_indexes")]

    operations = [
        migrations.AddField(
            "job",
            "unique_mode",
            models.CharField(
                "unique", max_length=10, choices=list(MODES.items()), default="always", db_default="always"
            ),
        ),
        AddConstraintNotValid(
            "job",
            models.CheckConstraint(name="job_unique_mode_valid", condition=models.Q(unique_mode__in=list(MODES))),
        ),
        migrations.RemoveConstraint("jobevent", "jobevent_verb_valid"),
        migrations.AlterField(
            "jobevent", "verb", models.CharField(max_length=20, choices=[(verb, verb.capitalize()) for verb in VERBS])
        ),
        AddConstraintNotValid(
            "jobevent", models.CheckConstraint(name="jobevent_verb_valid", condition=models.Q(verb__in=VERBS))
        ),
    ]
