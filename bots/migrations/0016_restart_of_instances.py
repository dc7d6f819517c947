"""A restart is an instance's and no longer its bot's. The functions of a bot's turn read the instances by now."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("bots", "0015_instances"), ("jobs", "0031_instances")]

    operations = [migrations.RemoveField("bot", "restart_requested_at")]
