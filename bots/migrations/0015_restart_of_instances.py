"""A restart is an instance's and no longer its bot's. The functions of a bot's turn read the instances by now."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("bots", "0014_instances"), ("jobs", "0029_instances")]

    operations = [migrations.RemoveField("bot", "restart_requested_at")]
