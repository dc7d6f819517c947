from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"
FUNCTIONS = (SQL / "0050_cheaper_turns.sql").read_text(encoding="utf-8")
BEFORE = (SQL / "0038_limits.sql").read_text(encoding="utf-8")
#: It returns a column more.
DROP = "DROP FUNCTION jobs_next_of_kind;"


class Migration(migrations.Migration):
    """Leave out of a turn, and of a claim of a kind with limits, what they did for nothing."""

    dependencies = [("jobs", "0047_verbs_valid")]

    operations = [migrations.RunSQL(DROP + FUNCTIONS, DROP + BEFORE)]
