"""Two indexes for the sweep: bots that are unwell, and bots that nobody has seen for long.

The table is small, so each is built in milliseconds; the lock that the building takes must not be waited for long.
"""

import django.db.models.functions.comparison
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bots", "0003_validate_health_status"),
    ]

    operations = [
        # Rather give up, and be run again, than queue behind a long transaction with every bot queueing behind us.
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", "SET LOCAL lock_timeout = '5s'"),
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
    ]
