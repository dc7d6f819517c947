"""Look at the rows that were there before `0002`, under a lock that readers and writers do not notice."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("bots", "0002_unhealthy"),
    ]

    operations = [
        ValidateConstraint(model_name="bot", name="bot_health_status_valid"),
    ]
