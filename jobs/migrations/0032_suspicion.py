"""A job that expired is for another instance first. The functions that go by it come with jobs.0038."""

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("jobs", "0031_instances"), ("bots", "0017_probes")]

    operations = [
        migrations.AddField("job", "not_for", models.BigIntegerField(blank=True, editable=False, null=True)),
        migrations.AddField("job", "not_for_until", models.DateTimeField(blank=True, editable=False, null=True)),
        AddConstraintNotValid(
            "job",
            models.CheckConstraint(
                name="job_not_for_somebody", condition=Q(not_for_until=None) | Q(not_for__isnull=False)
            ),
        ),
    ]
