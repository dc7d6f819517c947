"""The turn keeps how many slots an instance has."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"
FUNCTIONS = (SQL / "0030_slots.sql").read_text(encoding="utf-8")
BEFORE = (SQL / "0029_instances.sql").read_text(encoding="utf-8")


class Migration(migrations.Migration):
    dependencies = [("jobs", "0029_instances"), ("bots", "0016_slots")]

    operations = [migrations.RunSQL(FUNCTIONS, BEFORE)]
