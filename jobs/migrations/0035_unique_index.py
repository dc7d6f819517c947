from django.contrib.postgres.operations import AddIndexConcurrently, ValidateConstraint
from django.db import migrations, models
from django.db.models import Q

UNFINISHED, FINISHED = ("pending", "claimed", "processing"), ("succeeded", "failed", "cancelled")
HOLDS_KEY = Q(key__isnull=False) & (
    Q(unique_mode="always")
    | Q(unique_mode="unfinished", status__in=UNFINISHED)
    | Q(unique_mode="pending", status="pending", attempt=0)
)
LET_KEY_GO = Q(key__isnull=False) & (
    Q(unique_mode="unfinished", status__in=FINISHED)
    | (Q(unique_mode="pending") & (~Q(status="pending") | Q(attempt__gte=1)))
)
SQL_OF_HOLDS_KEY = """key IS NOT NULL AND (
    unique_mode = 'always' OR (status IN ('pending', 'claimed', 'processing') AND unique_mode = 'unfinished')
    OR (attempt = 0 AND status = 'pending' AND unique_mode = 'pending')
)"""


def rebuild(condition):
    """Build the unique index of keys with this condition, and put it in the place of the one that is there.

    May be repeated when it was interrupted.
    """
    return [
        "DROP INDEX CONCURRENTLY IF EXISTS job_key_rebuilt",
        f"CREATE UNIQUE INDEX CONCURRENTLY job_key_rebuilt ON jobs_job (kind_id, key) WHERE {condition}",
        "DROP INDEX CONCURRENTLY IF EXISTS job_key_once_per_kind",
        "ALTER INDEX job_key_rebuilt RENAME TO job_key_once_per_kind",
    ]


def constraint(condition):
    return models.UniqueConstraint(name="job_key_once_per_kind", fields=["kind", "key"], condition=condition)


class Migration(migrations.Migration):
    """One unique index of the jobs that have their key, and one of those that had it. Built beside the work.

    Reversible while no two jobs of a kind were given the same key.
    """

    atomic = False

    dependencies = [("jobs", "0034_uniqueness")]

    operations = [
        migrations.RunSQL(
            rebuild(SQL_OF_HOLDS_KEY),
            rebuild("key IS NOT NULL"),
            state_operations=[
                migrations.RemoveConstraint("job", "job_key_once_per_kind"),
                migrations.AddConstraint("job", constraint(HOLDS_KEY)),
            ],
        ),
        AddIndexConcurrently(
            "job", models.Index(name="job_key_let_go", fields=["kind", "key", "id"], condition=LET_KEY_GO)
        ),
        ValidateConstraint("job", "job_unique_mode_valid"),
        ValidateConstraint("jobevent", "jobevent_verb_valid"),
    ]
