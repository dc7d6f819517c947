"""Bound the durations of kinds. One that no date can hold broke each statement that adds it to a moment, for all kinds.

Those that are longer are shortened to the bound, which no limit reaches. A `keep_for` below zero becomes zero, which
deletes the same jobs.
"""

from datetime import timedelta

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import migrations, models
from django.db.models import Q

LONGEST = timedelta(days=36_500)
LONGEST_BACKOFF = timedelta(days=28)

SHORTEN = """
UPDATE jobs_jobkind
SET backoff = LEAST(backoff, interval '28 days'),
    start_within = LEAST(start_within, interval '36500 days'),
    heartbeat_within = LEAST(heartbeat_within, interval '36500 days'),
    keep_for = GREATEST(LEAST(keep_for, interval '36500 days'), interval '0'),
    run_within = CASE WHEN run_within IS NOT NULL THEN LEAST(run_within, interval '36500 days') END,
    wait_within = CASE WHEN wait_within IS NOT NULL THEN LEAST(wait_within, interval '36500 days') END
WHERE backoff > interval '28 days' OR start_within > interval '36500 days' OR heartbeat_within > interval '36500 days'
   OR keep_for NOT BETWEEN interval '0' AND interval '36500 days'
   OR run_within > interval '36500 days' OR wait_within > interval '36500 days'
"""


def field(name, default=None, most=LONGEST, **options):
    given = {"null": True, "blank": True} if default is None else {"default": default, "db_default": default}
    validators = [MinValueValidator(timedelta(0)), MaxValueValidator(most)]
    return migrations.AlterField("jobkind", name, models.DurationField(validators=validators, **given, **options))


class Migration(migrations.Migration):
    dependencies = [("jobs", "0021_labels")]

    operations = [
        field(
            "backoff",
            timedelta(seconds=10),
            LONGEST_BACKOFF,
            help_text="The delay before the second attempt. It doubles with each further one.",
        ),
        field("start_within", timedelta(minutes=5)),
        field("heartbeat_within", timedelta(minutes=2)),
        field("run_within", help_text="How long a job may run. Empty: learned from the kind's successes."),
        field(
            "wait_within",
            help_text="How long a due job may wait before an incident opens. Empty: 1 hour, the default. 0: never.",
        ),
        field(
            "keep_for",
            timedelta(days=30),
            help_text="How long finished jobs are kept.",
        ),
        migrations.RunSQL(SHORTEN, migrations.RunSQL.noop),
        migrations.AddConstraint(
            "jobkind",
            models.CheckConstraint(
                name="jobkind_durations_bounded",
                condition=Q(keep_for__gte=timedelta(0), backoff__lte=LONGEST_BACKOFF)
                & Q(start_within__lte=LONGEST, heartbeat_within__lte=LONGEST, keep_for__lte=LONGEST)
                & (Q(run_within=None) | Q(run_within__lte=LONGEST))
                & (Q(wait_within=None) | Q(wait_within__lte=LONGEST)),
            ),
        ),
    ]
