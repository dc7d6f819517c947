"""What a bot holds is found by who holds it, and not by status.

Both this index and `job_deadline` were over the jobs that are held, and PostgreSQL took the other one for this whenever
its statistics said that little was held: then each claim of a bot with a capacity read all held jobs. The new one is
built beside the old one, and nobody waits for it.
"""

from django.db import migrations, models

STATUS = "status IN ('claimed', 'processing')"
HOLDER = "claimed_by_id IS NOT NULL"


def rebuild(condition: str) -> list[str]:
    """Each in a transaction of its own; a build that was broken off is cleared away first."""
    return [
        "DROP INDEX CONCURRENTLY IF EXISTS job_held_by_new",
        f"CREATE INDEX CONCURRENTLY job_held_by_new ON jobs_job (claimed_by_id) WHERE {condition}",
        "DROP INDEX CONCURRENTLY IF EXISTS job_held_by",
        "ALTER INDEX job_held_by_new RENAME TO job_held_by",
    ]


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("jobs", "0004_rising_ids"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(rebuild(HOLDER), rebuild(STATUS))],
            state_operations=[
                migrations.RemoveIndex(model_name="job", name="job_held_by"),
                migrations.AddIndex(
                    model_name="job",
                    index=models.Index(
                        condition=models.Q(("claimed_by__isnull", False)), fields=["claimed_by"], name="job_held_by"
                    ),
                ),
            ],
        ),
    ]
