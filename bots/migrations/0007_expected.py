"""Which bots are missed when they stop calling. A new column with a default of the database's own: no row is written."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bots", "0006_quarantine_reason"),
    ]

    operations = [
        # Rather give up, and be run again, than queue behind a long transaction with every bot queueing behind us.
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", "SET LOCAL lock_timeout = '5s'"),
        migrations.AddField(
            model_name="bot",
            name="expected",
            field=models.BooleanField(
                db_default=True,
                default=True,
                help_text="Raise an incident when it stops calling. Untick for one that comes and goes, or has gone.",
            ),
        ),
        migrations.AddIndex(
            model_name="bot",
            index=models.Index(
                condition=models.Q(("quarantined_at__isnull", False)), fields=["quarantined_at"], name="bot_quarantined"
            ),
        ),
    ]
