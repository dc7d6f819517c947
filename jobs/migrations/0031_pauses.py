"""The turn knows paused instances, and pauses that end by themselves."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"
FUNCTIONS = (SQL / "0031_pauses.sql").read_text(encoding="utf-8")
BEFORE = (SQL / "0030_slots.sql").read_text(encoding="utf-8")


class Migration(migrations.Migration):
    dependencies = [("jobs", "0030_slots"), ("bots", "0017_pauses")]

    operations = [migrations.RunSQL(FUNCTIONS, BEFORE)]
