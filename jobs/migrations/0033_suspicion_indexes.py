"""Find jobs whose expiries are to be judged, and what expired lately; and read what rows there were before."""

from django.contrib.postgres.operations import AddIndexConcurrently, ValidateConstraint
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("jobs", "0032_suspicion")]

    operations = [
        ValidateConstraint("job", "job_not_for_somebody"),
        AddIndexConcurrently(
            "job",
            models.Index(
                name="job_suspected",
                fields=["id"],
                condition=Q(not_for__isnull=False, status__in=["succeeded", "failed", "cancelled"]),
            ),
        ),
        AddIndexConcurrently(
            "jobevent", models.Index(name="jobevent_expired", fields=["at"], condition=Q(verb="expire"))
        ),
    ]
