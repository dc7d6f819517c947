"""Indexes by status and by kind with rising ids, which are cheaper to add to; made while everybody works."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index is made without a lock only outside a transaction.
    atomic = False

    dependencies = [("jobs", "0003_exchange")]

    operations = [
        AddIndexConcurrently(model_name="job", index=models.Index(fields=["status", "id"], name="job_of_status")),
        AddIndexConcurrently(model_name="job", index=models.Index(fields=["kind", "id"], name="job_of_kind")),
        RemoveIndexConcurrently(model_name="job", name="job_by_status"),
        RemoveIndexConcurrently(model_name="job", name="job_by_kind"),
    ]
