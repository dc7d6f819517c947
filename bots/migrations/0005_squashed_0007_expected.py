"""What the sweep searches for, why a bot is in quarantine, and which bots are missed when they stop calling.

This stands for 0005 to 0007 of commit 430f651, and there never was a 0004. A database that has all three has nothing to
run. `migrate` refuses one that has only some of them.
"""

import django.db.models.functions.comparison
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bots", "0003_validate_health_status"),
    ]

    replaces = [
        ("bots", "0005_what_the_sweep_asks"),
        ("bots", "0006_quarantine_reason"),
        ("bots", "0007_expected"),
    ]

    operations = [
        migrations.AddField(
            model_name="bot",
            name="quarantine_reason",
            field=models.TextField(blank=True, db_default="", default="", editable=False),
        ),
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
                condition=models.Q(("health_status__in", ("potentially_stuck", "unhealthy"))),
                fields=["health_status"],
                name="bot_unwell",
            ),
        ),
        migrations.AddIndex(
            model_name="bot",
            index=models.Index(
                django.db.models.functions.comparison.Coalesce("last_seen_at", "created_at"), name="bot_unseen"
            ),
        ),
        migrations.AddIndex(
            model_name="bot",
            index=models.Index(
                condition=models.Q(("quarantined_at__isnull", False)), fields=["quarantined_at"], name="bot_quarantined"
            ),
        ),
    ]
