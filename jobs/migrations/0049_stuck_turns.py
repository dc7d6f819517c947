"""A turn of a bot that is stuck goes like any other, unless it reports on the job that the bot is stuck on."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"
TURNS = (SQL / "0049_stuck_turns.sql").read_text(encoding="utf-8")
LIMITS = (SQL / "0038_limits.sql").read_text(encoding="utf-8")
#: The function as it was, between that one's others.
BEFORE = LIMITS[LIMITS.index("CREATE OR REPLACE FUNCTION jobs_turns(") : LIMITS.index("-- Guard limits:")]


class Migration(migrations.Migration):
    dependencies = [("jobs", "0048_backlog")]

    operations = [migrations.RunSQL(TURNS, BEFORE)]
