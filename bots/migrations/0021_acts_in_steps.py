"""The entries of an act in several steps share a number. The index is built beside the work."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("bots", "0020_acts_of_jobs")]

    operations = [
        migrations.AddField("auditentry", "act", models.BigIntegerField(null=True)),
        AddIndexConcurrently(
            "auditentry", models.Index(name="auditentry_of_act", fields=["act", "id"], condition=Q(act__isnull=False))
        ),
    ]
