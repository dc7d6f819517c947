"""Hold the gate of a kind for less time, and count a lease from when it began, however long its claim waited."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"
FUNCTIONS = (SQL / "0040_shorter_gates.sql").read_text(encoding="utf-8")
BEFORE = (SQL / "0038_limits.sql").read_text(encoding="utf-8")


class Migration(migrations.Migration):
    dependencies = [("jobs", "0039_limits_indexes")]

    operations = [migrations.RunSQL(FUNCTIONS, BEFORE)]
