"""Turns of several bots that come at the same time are one call of the function (docs/decisions/0034).

It has a name of its own, `jobs_turns`. The one before, `jobs_exchange`, stays where it is: web processes of the code
before call it until they are restarted. Nothing calls it after that.
"""

from django.db import migrations

from jobs.lifecycle.statements import SQL

EXCHANGE = "9880f123d630"


class Migration(migrations.Migration):
    dependencies = [("jobs", "0008_learned")]

    operations = [
        migrations.RunSQL(
            SQL.function("exchange"),
            # The column goes next, so it must not be named.
            SQL.function("exchange").replace(" k.learned_run_within,", ""),
        )
    ]
