"""How long a kind's due jobs may wait before an incident opens."""

import datetime

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0013_sweep_run"),
    ]

    operations = [
        # Rather give up, and be run again, than queue behind a long transaction with every bot queueing behind us.
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", "SET LOCAL lock_timeout = '5s'"),
        migrations.AddField(
            model_name="jobkind",
            name="wait_within",
            field=models.DurationField(
                blank=True,
                help_text="How long a due job may wait before an incident opens. Empty: the site's default (1 hour). 0: never.",
                null=True,
            ),
        ),
        migrations.AddConstraint(
            model_name="jobkind",
            constraint=models.CheckConstraint(
                condition=models.Q(("wait_within", None), ("wait_within__gte", datetime.timedelta(0)), _connector="OR"),
                name="jobkind_wait_within_positive",
            ),
        ),
    ]
