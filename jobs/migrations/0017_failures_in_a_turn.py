"""Failures are part of the function that turns of bots call, which is what it was for those that report none.

Web processes of the code before call it as they did. There is no way back to make, and none is needed.
"""

from django.db import migrations

from jobs.lifecycle.statements import SQL

EXCHANGE = "17a7c1c2c0c6"


class Migration(migrations.Migration):
    dependencies = [("jobs", "0016_at_rest")]

    operations = [migrations.RunSQL(SQL.function("exchange"), migrations.RunSQL.noop)]
