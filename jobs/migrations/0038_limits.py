from datetime import timedelta
from pathlib import Path

import django.db.models.deletion
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.operations import AddConstraintNotValid
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import migrations, models
from django.db.models import Q

SQL = Path(__file__).parent / "sql"
FUNCTIONS = (SQL / "0038_limits.sql").read_text(encoding="utf-8")
BEFORE = "".join(
    (SQL / name).read_text(encoding="utf-8")
    for name in ("0019_one_turn.sql", "0022_epochs.sql", "0027_notify_after_commit.sql", "0031_instances.sql")
)
#: Their results have more columns from now on.
DROP = "DROP FUNCTION jobs_turns; DROP FUNCTION jobs_fail;"
DROP_NEW = """
    DROP FUNCTION jobs_guard_limits CASCADE;
    DROP FUNCTION jobs_gated; DROP FUNCTION jobs_given; DROP FUNCTION jobs_open; DROP FUNCTION jobs_next_of_kind;
    DROP FUNCTION jobs_round; DROP FUNCTION jobs_shut; DROP FUNCTION jobs_sleep; DROP FUNCTION jobs_due_next;
    DROP FUNCTION jobs_of_group; DROP FUNCTION jobs_room; DROP FUNCTION jobs_started; DROP FUNCTION jobs_rate;
"""


def limit(most, help_text):
    validators = [MinValueValidator(1), MaxValueValidator(most)]
    return models.PositiveIntegerField(null=True, blank=True, validators=validators, help_text=help_text)


def between(name, most):
    return Q(**{name: None}) | Q(**{f"{name}__gte": 1, f"{name}__lte": most})


def group():
    return models.CharField("group", max_length=100, blank=True, default="", db_default="")


#: The gate's indexes: columns and condition.
OF_GATES = {
    "gate_open": (["kind", "round_no", "group_name"], Q(open=True) & ~Q(group_name="")),
    "gate_due": (["kind", "due_at"], Q(open=False) & ~Q(group_name="")),
    "gate_of_kind_open": (["kind"], Q(open=True, group_name="")),
    "gate_of_kind_due": (["due_at"], Q(open=False, group_name="")),
    "gate_of_kind_shut": (["kind"], Q(shut_until__isnull=False, group_name="")),
}


class Migration(migrations.Migration):
    """Limits of kinds and groups: how many jobs may be held at once, and how many may start."""

    dependencies = [("jobs", "0037_time_indexes"), ("bots", "0017_probes")]

    operations = [
        migrations.AddField(
            "jobkind", "max_held", limit(10_000, "How many jobs may be held at once. Empty: any number.")
        ),
        migrations.AddField(
            "jobkind",
            "max_held_per_group",
            limit(10_000, "How many jobs of each group may be held at once. Empty: any number."),
        ),
        migrations.AddField(
            "jobkind", "rate", limit(1_000_000, "How many jobs may start in any period. Empty: any number.")
        ),
        migrations.AddField(
            "jobkind",
            "rate_per_group",
            limit(1_000_000, "How many jobs of each group may start in any period. Empty: any number."),
        ),
        migrations.AddField(
            "jobkind",
            "rate_period",
            models.DurationField(
                default=timedelta(minutes=1),
                db_default=timedelta(minutes=1),
                validators=[MinValueValidator(timedelta(seconds=1)), MaxValueValidator(timedelta(days=1))],
                help_text="The period of both rates.",
            ),
        ),
        migrations.AddField(
            "jobkind",
            "fair",
            models.BooleanField(
                default=True,
                db_default=True,
                help_text="Groups take turns, whatever the priorities of their jobs. "
                "Without: the highest priority of all goes first.",
            ),
        ),
        migrations.AddField("jobkind", "limited", models.BooleanField(default=False, db_default=False, editable=False)),
        migrations.AddField(
            "jobkind", "limited_no", models.PositiveIntegerField(default=0, db_default=0, editable=False)
        ),
        migrations.AddConstraint(
            "jobkind",
            models.CheckConstraint(
                name="jobkind_limits_range",
                condition=between("max_held", 10_000)
                & between("max_held_per_group", 10_000)
                & between("rate", 1_000_000)
                & between("rate_per_group", 1_000_000)
                & Q(rate_period__gte=timedelta(seconds=1), rate_period__lte=timedelta(days=1)),
            ),
        ),
        migrations.RemoveIndex("jobkind", "jobkind_paused"),
        migrations.AddIndex(
            "jobkind", models.Index(name="jobkind_closed", fields=["name"], condition=Q(paused=True) | Q(limited=True))
        ),
        migrations.AddField("job", "group_name", group()),
        migrations.AddField("job", "gated", models.BooleanField(default=False, db_default=False, editable=False)),
        AddConstraintNotValid(
            "job", models.CheckConstraint(name="job_group_gated", condition=Q(group_name="") | Q(gated=True))
        ),
        migrations.AddField(
            "schedule",
            "group",
            models.CharField(
                db_column="group_name",
                max_length=100,
                blank=True,
                default="",
                db_default="",
                help_text="The group of each of its jobs: a customer or a host, for example. Empty: none.",
            ),
        ),
        migrations.CreateModel(
            "Gate",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.ForeignKey(
                        to="jobs.jobkind",
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="gates",
                        db_index=False,
                        db_constraint=False,
                    ),
                ),
                ("group_name", group()),
                ("open", models.BooleanField(default=True, db_default=True)),
                ("round_no", models.BigIntegerField(default=0, db_default=0)),
                ("due_at", models.DateTimeField(null=True, blank=True)),
                ("tokens", ArrayField(models.IntegerField(), default=list, db_default=[])),
                ("tokens_at", models.DateTimeField(null=True, blank=True)),
                ("shut_until", models.DateTimeField(null=True, blank=True)),
                ("shut_reason", models.CharField(max_length=500, blank=True, default="", db_default="")),
                ("shut_by", models.CharField(max_length=200, blank=True, default="", db_default="")),
                ("limited_no", models.PositiveIntegerField(default=0, db_default=0)),
            ],
        ),
        migrations.AddConstraint("gate", models.UniqueConstraint(name="gate_once", fields=["kind", "group_name"])),
        *(
            migrations.AddIndex("gate", models.Index(name=name, fields=fields, condition=condition))
            for name, (fields, condition) in OF_GATES.items()
        ),
        migrations.RunSQL(DROP + FUNCTIONS, DROP + BEFORE + DROP_NEW),
    ]
