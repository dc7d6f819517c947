"""The number of an attempt begins with the epoch of the database, and what a restore has undone is refused as such."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"
FUNCTIONS = (SQL / "0022_epochs.sql").read_text(encoding="utf-8")
BEFORE = (SQL / "0019_one_turn.sql").read_text(encoding="utf-8")

#: The functions before count the epoch among the attempts that a job has used, so that each would fail at once.
REFUSE = """
    DO $$ BEGIN
        IF EXISTS (SELECT FROM jobsite_site WHERE epoch > 0) THEN
            RAISE EXCEPTION 'This database has been restored, so its attempts have numbers that older code cannot read';
        END IF;
    END $$
"""


class Migration(migrations.Migration):
    dependencies = [("jobs", "0026_durations_bounded"), ("jobsite", "0001_site")]

    operations = [
        migrations.RunSQL(FUNCTIONS, BEFORE),
        migrations.RunSQL(migrations.RunSQL.noop, REFUSE),
    ]
