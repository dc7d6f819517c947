"""A pause of a bot, or of one of its instances, has a reason and may end by itself."""

from django.db import migrations, models

UNTIL = {"blank": True, "null": True}
REASON = {"blank": True, "db_default": "", "default": ""}


class Migration(migrations.Migration):
    dependencies = [("bots", "0016_slots")]

    operations = [
        migrations.AddField("bot", "paused_until", models.DateTimeField(editable=False, **UNTIL)),
        migrations.AddField("bot", "pause_reason", models.TextField(editable=False, **REASON)),
        migrations.AddField("instance", "paused", models.BooleanField(db_default=False, default=False)),
        migrations.AddField("instance", "paused_until", models.DateTimeField(**UNTIL)),
        migrations.AddField("instance", "pause_reason", models.TextField(**REASON)),
    ]
