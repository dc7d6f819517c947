"""The turn reads the instances of bots. Processes that share a bot, and hold jobs, become instances of their own."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"
FUNCTIONS = (SQL / "0031_instances.sql").read_text(encoding="utf-8")
BEFORE = "".join(
    (SQL / name).read_text(encoding="utf-8") for name in ("0022_epochs.sql", "0027_notify_after_commit.sql")
)

#: Only their names are known, by the jobs that they hold.
SHARED = """
    INSERT INTO bots_instance (bot_id, name, identity)
    SELECT DISTINCT j.claimed_by_id, j.instance, j.instance
    FROM jobs_job j JOIN bots_bot b ON b.id = j.claimed_by_id
    WHERE j.claimed_by_id IS NOT NULL AND j.instance <> '' AND b.instance = ''
    ON CONFLICT (bot_id, name) DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [("jobs", "0030_job_of_schedule"), ("bots", "0015_instances")]

    operations = [migrations.RunSQL(SHARED, migrations.RunSQL.noop), migrations.RunSQL(FUNCTIONS, BEFORE)]
