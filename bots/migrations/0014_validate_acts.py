from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    """Read the entries that were there before, under a lock that readers and writers do not notice."""

    dependencies = [("bots", "0013_acts_of_schedules")]

    operations = [ValidateConstraint("auditentry", "auditentry_verb_valid")]
