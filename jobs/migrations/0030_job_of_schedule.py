from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """Which jobs of a schedule have not ended. Built beside the work."""

    atomic = False

    dependencies = [("jobs", "0029_schedules")]

    operations = [
        AddIndexConcurrently(
            "job",
            models.Index(
                name="job_of_schedule",
                fields=["schedule"],
                condition=~Q(schedule="") & Q(status__in=("pending", "claimed", "processing")),
            ),
        ),
    ]
