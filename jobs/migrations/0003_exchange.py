"""A bot's whole turn as a function in the database, and tables that are vacuumed as often as they change.

Each job's row is written at least three times (enqueue, claim, complete), and its old versions stand in the indexes of
pending and held jobs until a vacuum takes them away. By default a table is vacuumed when a fifth of it has changed,
which with ten million finished rows is two million dead entries at the place where every claim looks. A fixed number
of rows, whatever the size of the table, keeps that place clean; the vacuum itself reads only pages that changed. Room
left on each page lets a claim and its completion stay on the page of their job.
"""

from django.db import migrations

from jobs.lifecycle.statements import SQL

#: Of the function's body at this time (`jobsite.lib.sql.digest`). Who changes `exchange.sql` adds a migration that makes the
#: function again, with the new digest: a test compares the last one with the file, and `check_schema` the database.
EXCHANGE = "c537c4faa544"

#: What PostgreSQL does by default.
DEFAULTS = "autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, autovacuum_analyze_scale_factor, fillfactor"


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0002_leases"),
        ("bots", "0003_validate_health_status"),
    ]

    operations = [
        migrations.RunSQL(
            SQL.function("exchange"),
            # The first was called otherwise (see 0009).
            "DROP FUNCTION IF EXISTS jobs_turns; DROP FUNCTION IF EXISTS jobs_exchange",
        ),
        migrations.RunSQL(
            "ALTER TABLE jobs_job SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, "
            "autovacuum_analyze_scale_factor = 0.02, fillfactor = 70)",
            f"ALTER TABLE jobs_job RESET ({DEFAULTS})",
        ),
        migrations.RunSQL(
            "ALTER TABLE bots_bot SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, "
            "fillfactor = 50)",
            "ALTER TABLE bots_bot RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, fillfactor)",
        ),
    ]
