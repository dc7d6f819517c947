"""Turns of several bots that come at the same time are one call of the function (docs/decisions/0034)."""

from django.db import migrations

from jobs.sql import function

EXCHANGE = "9880f123d630"

#: The function until now, for one bot at a time.
BEFORE = (
    "DROP FUNCTION IF EXISTS jobs_exchange(bigint, bytea, jsonb, jsonb, boolean, integer, text[], boolean, text, "
    "integer[], timestamptz[], bigint[], interval, interval, interval)"
)


class Migration(migrations.Migration):
    dependencies = [("jobs", "0008_learned")]

    operations = [
        migrations.RunSQL(
            [BEFORE, function("exchange")],
            # The function before took other parameters, so there is no way back to it from this code; but the column
            # goes next, so it must not be named.
            function("exchange").replace(" k.learned_run_within,", ""),
        )
    ]
