from django.contrib.postgres.operations import AddIndexConcurrently, ValidateConstraint
from django.db import migrations, models
from django.db.models import F, Q
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce

HANDED_OUT_UNTIL = Coalesce("start_by", RawSQL("'infinity'::timestamptz", ()), output_field=models.DateTimeField())
UNTIL = "COALESCE(start_by, 'infinity'::timestamptz)"
ENDING = ("release", "expire", "fail", "cancel", "defer", "drop")
#: Each index that is built again: its model, what it was and is in PostgreSQL, and what it is for Django.
INDEXES = (
    (
        "job", "jobs_job (priority DESC, run_at, id) WHERE status = 'pending'",
        f"jobs_job (priority DESC, run_at, id, ({UNTIL})) WHERE status = 'pending'",
        models.Index(
            F("priority").desc(), "run_at", "id", HANDED_OUT_UNTIL, name="job_pending", condition=Q(status="pending")
        ),
    ),
    (
        "job", "jobs_job (kind_id, priority DESC, run_at, id) WHERE status = 'pending'",
        f"jobs_job (kind_id, priority DESC, run_at, id, ({UNTIL})) WHERE status = 'pending'",
        models.Index(
            "kind", F("priority").desc(), "run_at", "id", HANDED_OUT_UNTIL,
            name="job_pending_by_kind", condition=Q(status="pending"),
        ),
    ),
    (
        "jobevent", "jobs_jobevent (at) WHERE verb IN ('release', 'expire', 'fail', 'cancel')",
        f"jobs_jobevent (at) WHERE verb IN {ENDING}",
        models.Index(name="jobevent_ended_at", fields=["at"], condition=Q(verb__in=ENDING)),
    ),
)  # fmt: skip


def again(name, columns):
    """Build an index beside the one of this name, and put it in its place. May be repeated when it was interrupted."""
    return [
        f"DROP INDEX CONCURRENTLY IF EXISTS {name}_rebuilt",
        f"CREATE INDEX CONCURRENTLY {name}_rebuilt ON {columns}",
        f"DROP INDEX CONCURRENTLY IF EXISTS {name}",
        f"ALTER INDEX {name}_rebuilt RENAME TO {name}",
    ]


def rebuild(model, before, after, index):
    operations = [migrations.RemoveIndex(model, index.name), migrations.AddIndex(model, index)]
    return migrations.RunSQL(again(index.name, after), again(index.name, before), state_operations=operations)


class Migration(migrations.Migration):
    """Pending jobs in the order of claims, with the moment by which each must be begun. Built beside the work."""

    atomic = False

    dependencies = [("jobs", "0036_time")]

    operations = [
        *(rebuild(*index) for index in INDEXES),
        AddIndexConcurrently(
            "job",
            models.Index(
                name="job_start_by", fields=["start_by"], condition=Q(status="pending", start_by__isnull=False)
            ),
        ),
        ValidateConstraint("job", "job_own_times_bounded"),
        ValidateConstraint("jobevent", "jobevent_verb_valid"),
    ]
