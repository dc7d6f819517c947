"""Why a bot is in quarantine, in figures."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bots", "0005_what_the_sweep_asks"),
    ]

    operations = [
        # Rather give up, and be run again, than queue behind a long transaction with every bot queueing behind us.
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="bot",
            name="quarantine_reason",
            field=models.TextField(blank=True, db_default="", default="", editable=False),
        ),
    ]
