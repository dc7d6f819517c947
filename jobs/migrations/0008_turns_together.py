"""Turns of several bots that come at the same time are one call of the function (docs/decisions/0034)."""

from django.db import migrations

from jobs.sql import function

EXCHANGE = "518493f557fe"

#: The function until now, for one bot at a time.
BEFORE = (
    "DROP FUNCTION IF EXISTS jobs_exchange(bigint, bytea, jsonb, jsonb, boolean, integer, text[], boolean, text, "
    "integer[], timestamptz[], bigint[], interval, interval, interval)"
)


class Migration(migrations.Migration):
    dependencies = [("jobs", "0007_console_indexes")]

    # The function before took other parameters, so there is no way back to it from this code.
    operations = [migrations.RunSQL([BEFORE, function("exchange")], migrations.RunSQL.noop)]
