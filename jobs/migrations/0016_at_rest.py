"""One index for the lists, `job_at_rest`, in place of two that every claim and report wrote (docs/decisions/0038)."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models

from jobs.lifecycle.statements import SQL


class Migration(migrations.Migration):
    # An index is made without a lock only outside a transaction.
    atomic = False

    dependencies = [("jobs", "0015_metered")]

    operations = [
        AddIndexConcurrently(
            model_name="job",
            index=models.Index(
                condition=models.Q(("status__in", ("pending", "succeeded", "failed", "cancelled"))),
                fields=["status", "kind", "id"],
                name="job_at_rest",
            ),
        ),
        # It looked where `job_of_kind` was. What it did before is right, too, and slow: there is no way back to make.
        migrations.RunSQL(SQL.function("guard_kind"), migrations.RunSQL.noop),
        RemoveIndexConcurrently(model_name="job", name="job_of_status"),
        RemoveIndexConcurrently(model_name="job", name="job_of_kind"),
    ]
