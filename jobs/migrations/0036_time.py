"""Jobs with moments and limits of their own, deferral and drop. The functions that go by them come with jobs.0038."""

from datetime import timedelta

from django.contrib.postgres.operations import AddConstraintNotValid
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import migrations, models
from django.db.models import Q

VERBS = [
    "release", "expire", "fail", "retry", "cancel", "flag", "late", "accept", "prioritise", "replace", "defer", "drop",
]  # fmt: skip
ZERO, MAX_DURATION, MAX_BACKOFF = timedelta(0), timedelta(days=36_500), timedelta(days=28)


def limit(most, help_text):
    validators = [MinValueValidator(ZERO), MaxValueValidator(most)]
    return models.DurationField(null=True, blank=True, validators=validators, help_text=help_text)


class Migration(migrations.Migration):
    dependencies = [("jobs", "0035_unique_index")]

    operations = [
        migrations.AddField("job", "start_by", models.DateTimeField(null=True, blank=True)),
        migrations.AddField("job", "run_within", models.DurationField(null=True, blank=True)),
        migrations.AddField("job", "heartbeat_within", models.DurationField(null=True, blank=True)),
        migrations.AddField("job", "backoff", models.DurationField(null=True, blank=True)),
        migrations.AddField("job", "deferrals", models.PositiveIntegerField(default=0, db_default=0, editable=False)),
        AddConstraintNotValid(
            "job",
            models.CheckConstraint(
                name="job_own_times_bounded",
                condition=(Q(run_within=None) | Q(run_within__gt=ZERO, run_within__lte=MAX_DURATION))
                & (Q(heartbeat_within=None) | Q(heartbeat_within__gt=ZERO, heartbeat_within__lte=MAX_DURATION))
                & (Q(backoff=None) | Q(backoff__gte=ZERO, backoff__lte=MAX_BACKOFF)),
            ),
        ),
        migrations.AddField(
            "jobkind",
            "drop_after",
            limit(
                MAX_DURATION,
                "How long after it is due a job may be begun; then it is dropped. For new jobs. Empty: for ever.",
            ),
        ),
        migrations.AddField(
            "jobkind",
            "backoff_max",
            limit(MAX_BACKOFF, "The longest delay before an attempt. Empty: no such limit."),
        ),
        migrations.AddConstraint(
            "jobkind",
            models.CheckConstraint(
                name="jobkind_drop_and_backoff_bounded",
                condition=(Q(drop_after=None) | Q(drop_after__gt=ZERO, drop_after__lte=MAX_DURATION))
                & (Q(backoff_max=None) | Q(backoff_max__gte=ZERO, backoff_max__lte=MAX_BACKOFF)),
            ),
        ),
        migrations.RemoveConstraint("jobevent", "jobevent_verb_valid"),
        migrations.AlterField(
            "jobevent", "verb", models.CharField(max_length=20, choices=[(verb, verb.capitalize()) for verb in VERBS])
        ),
        AddConstraintNotValid(
            "jobevent", models.CheckConstraint(name="jobevent_verb_valid", condition=Q(verb__in=VERBS))
        ),
    ]
