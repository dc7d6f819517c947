"""What ended is found by kind and time, for pruning and for the figures alike (docs/decisions/0057)."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index is made without a lock only outside a transaction.
    atomic = False

    dependencies = [("jobs", "0017_failures_in_a_turn")]

    operations = [
        AddIndexConcurrently(
            model_name="job",
            index=models.Index(
                condition=models.Q(("status__in", ("succeeded", "failed", "cancelled"))),
                fields=["kind", "finished_at"],
                name="job_finished_of_kind",
            ),
        ),
        RemoveIndexConcurrently(model_name="job", name="job_finished"),
    ]
