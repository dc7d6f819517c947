from django.db import migrations, models
from django.db.models import Q

#: Each index: its model, name, columns and condition, for Django and for PostgreSQL (`{}`: the order of the last).
INDEXES = (
    (
        "job", "job_finished_by", ["finished_by", "id"], Q(finished_by__isnull=False),
        "jobs_job (finished_by_id, id{}) WHERE finished_by_id IS NOT NULL",
    ),
    ("jobevent", "jobevent_by_bot", ["bot", "at"], None, "jobs_jobevent (bot_id, at{})"),
    ("jobevent", "jobevent_by_operator", ["at"], Q(actor="operator"), "jobs_jobevent (at{}) WHERE actor = 'operator'"),
)  # fmt: skip


def again(model, name, fields, condition, columns):
    """Drop an index and create it in its new order. Both may be repeated when a migration was interrupted."""
    drop = f"DROP INDEX CONCURRENTLY IF EXISTS {name}"
    create = f"CREATE INDEX CONCURRENTLY {name} ON {columns}"
    return [
        migrations.RunSQL(drop, create.format(" DESC"), state_operations=[migrations.RemoveIndex(model, name)]),
        migrations.RunSQL(
            create.format(""),
            drop,
            state_operations=[migrations.AddIndex(model, models.Index(name=name, fields=fields, condition=condition))],
        ),
    ]


class Migration(migrations.Migration):
    """New entries go to the end of their stretch of an index, where they fill its pages.

    In descending order they go to its beginning and split them, and what pruning takes leaves pages half empty.
    """

    atomic = False

    dependencies = [("jobs", "0027_notify_after_commit")]

    operations = [operation for index in INDEXES for operation in again(*index)]
