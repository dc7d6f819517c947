"""Which pauses end by themselves, for each sweep. There are few bots, so building it takes a moment."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("bots", "0017_pauses")]

    operations = [
        migrations.AddIndex(
            "bot",
            models.Index(name="bot_pause_ends", fields=["paused_until"], condition=Q(paused_until__isnull=False)),
        ),
    ]
