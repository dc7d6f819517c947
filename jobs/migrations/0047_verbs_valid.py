from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    """Read the events that were there before, under a lock that readers and writers do not notice."""

    dependencies = [("jobs", "0046_edit_and_take_back")]

    operations = [ValidateConstraint("jobevent", "jobevent_verb_valid")]
