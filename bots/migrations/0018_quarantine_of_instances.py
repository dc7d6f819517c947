"""A quarantine is an instance's and no longer its bot's. The functions of a bot's turn read the instances by now."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("bots", "0017_probes"), ("jobs", "0038_limits")]

    operations = [
        migrations.RemoveIndex("bot", "bot_quarantined"),
        migrations.RemoveField("bot", "quarantined_at"),
        migrations.RemoveField("bot", "quarantine_reason"),
        migrations.RemoveField("bot", "cleared_at"),
    ]
