from django.contrib.postgres.operations import AddIndexConcurrently, ValidateConstraint
from django.db import migrations, models
from django.db.models import Q

SHARED = Q(status="pending", gated=False)
GATED = Q(status="pending", gated=True)
ORDER = ["-priority", "run_at", "id"]
#: Each index of pending jobs: its columns, for Django and for PostgreSQL.
OF_PENDING = {
    "job_pending": (ORDER, "priority DESC, run_at, id"),
    "job_pending_by_kind": (["kind", *ORDER], "kind_id, priority DESC, run_at, id"),
}


def again(name, fields, columns, before, after):
    """Build an index beside the old one, which serves until then, and take its name. May be repeated."""
    new = f"{name}_next"
    return [
        f"DROP INDEX CONCURRENTLY IF EXISTS {new}",
        f"CREATE INDEX CONCURRENTLY {new} ON jobs_job ({columns}) WHERE {after}",
        f"DROP INDEX CONCURRENTLY IF EXISTS {name}",
        f"ALTER INDEX {new} RENAME TO {name}",
    ]


def narrowed(name, fields, columns):
    """An index of pending jobs without those that are gated."""
    whole, shared = "status = 'pending'", "NOT gated AND status = 'pending'"
    forward = again(name, fields, columns, whole, shared)
    backward = again(name, fields, columns, shared, whole)
    state = [
        migrations.RemoveIndex("job", name),
        migrations.AddIndex("job", models.Index(name=name, fields=fields, condition=SHARED)),
    ]
    return [
        migrations.RunSQL(one, back, state_operations=state if n == 0 else [])
        for n, (one, back) in enumerate(zip(forward, reversed(backward), strict=True))
    ]


class Migration(migrations.Migration):
    """The lane of gated jobs, and the shared lane without them. Built beside the work."""

    atomic = False

    dependencies = [("jobs", "0038_limits")]

    operations = [
        AddIndexConcurrently(
            "job", models.Index(name="job_gated", fields=["kind", "group_name", *ORDER], condition=GATED)
        ),
        AddIndexConcurrently("job", models.Index(name="job_gated_by_kind", fields=["kind", *ORDER], condition=GATED)),
        AddIndexConcurrently(
            "job",
            models.Index(
                name="job_gated_held", fields=["kind", "group_name"], condition=Q(gated=True, claimed_by__isnull=False)
            ),
        ),
        AddIndexConcurrently(
            "job", models.Index(name="job_of_group", fields=["group_name", "id"], condition=~Q(group_name=""))
        ),
        *(operation for name, (fields, columns) in OF_PENDING.items() for operation in narrowed(name, fields, columns)),
        ValidateConstraint("job", "job_group_gated"),
    ]
