"""The console's indexes, made while everybody works, and the rows that were there before `0006` looked at."""

from django.contrib.postgres.operations import AddIndexConcurrently, ValidateConstraint
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index is made without a lock only outside a transaction.
    atomic = False

    dependencies = [
        ("jobs", "0006_console"),
    ]

    operations = [
        ValidateConstraint(model_name="jobevent", name="jobevent_verb_valid"),
        AddIndexConcurrently(
            model_name="job",
            index=models.Index(
                condition=models.Q(("status__in", ("succeeded", "failed", "cancelled"))),
                fields=["finished_at"],
                name="job_finished",
            ),
        ),
        AddIndexConcurrently(
            model_name="job",
            index=models.Index(
                condition=models.Q(("finished_by__isnull", False)),
                fields=["finished_by", "-id"],
                name="job_finished_by",
            ),
        ),
        AddIndexConcurrently(
            model_name="jobevent",
            index=models.Index(condition=models.Q(("actor", "operator")), fields=["-at"], name="jobevent_by_operator"),
        ),
    ]
