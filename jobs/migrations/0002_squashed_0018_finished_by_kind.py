"""Who holds a job, what has happened to it, what is added up, what the database refuses, and its functions.

This stands for 0002 to 0018 of commit 430f651. A database that has them all has nothing to run; an empty one gets their
result in one transaction. `migrate` refuses one that has only some of them. 0001 stands by itself, because the bots'
first migration lies between the two.

A migration carries its SQL as text (`sql/` beside it), so that no later change of the code changes what it does.
"""

import datetime
from pathlib import Path

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

FUNCTIONS = (Path(__file__).parent / "sql" / "0002_functions.sql").read_text(encoding="utf-8")

STATUSES = ["pending", "claimed", "processing", "succeeded", "failed", "cancelled"]
HELD = ("claimed", "processing")
FINISHED = ("succeeded", "failed", "cancelled")
VERBS = ["release", "expire", "fail", "retry", "cancel", "flag", "late", "accept", "prioritise"]
ENDS = [
    ("hour", "an hour, whoever held"),
    ("bot_hour", "an hour of one bot"),
    ("bot_day", "a day of one bot"),
    ("mark", "added up until then"),
]
COUNTERS = [
    ("mark", "until when it has counted"),
    ("kind", "a kind with figures of its own"),
    ("claims", "leases that were given"),
    ("leases", "leases that ended"),
    ("finished", "jobs that ended"),
    ("failed", "attempts that failed"),
    ("released", "leases that went back to pending"),
    ("expired", "leases that the sweep ended"),
    ("wait", "seconds from due to claimed"),
    ("run", "seconds from started to done"),
    ("pending", "pending jobs when last counted"),
    ("counted", "how long the last count of pending jobs took"),
]


def named(values):
    return [(value, value.capitalize()) for value in values]


def automatic_id():
    return ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"))


def number():
    return models.PositiveIntegerField(db_default=0, default=0)


def text(length):
    return models.CharField(blank=True, db_default="", default="", max_length=length)


def moment():
    return models.DateTimeField(db_default=django.db.models.functions.datetime.Now())


def unchecked(to, **options):
    """A foreign key that only Django knows: triggers keep the rows it names."""
    return models.ForeignKey(to=to, db_constraint=False, db_index=False, **options)


kinds = [
    migrations.AddField("jobkind", "learned_run_within", models.DurationField(blank=True, editable=False, null=True)),
    migrations.AddField(
        "jobkind",
        "wait_within",
        models.DurationField(
            blank=True,
            help_text="How long a due job may wait before an incident opens. Empty: the site's default (1 hour). 0: never.",
            null=True,
        ),
    ),
    migrations.AlterField(
        "jobkind",
        "run_within",
        models.DurationField(
            blank=True, help_text="How long a job may run. Empty: learned from the kind's own successes.", null=True
        ),
    ),
    migrations.AddConstraint(
        "jobkind",
        models.CheckConstraint(
            condition=models.Q(("wait_within", None), ("wait_within__gte", datetime.timedelta(0)), _connector="OR"),
            name="jobkind_wait_within_positive",
        ),
    ),
]

jobs = [
    migrations.AlterModelOptions(
        "job",
        {
            "ordering": ["-id"],
            "permissions": [
                ("release_job", "Can release a job"),
                ("retry_job", "Can retry a job"),
                ("cancel_job", "Can cancel a job"),
                ("accept_job", "Can accept a late result"),
                ("prioritise_job", "Can change a job's priority"),
            ],
        },
    ),
    migrations.AlterField(
        "job", "kind", unchecked("jobs.jobkind", on_delete=django.db.models.deletion.PROTECT, related_name="jobs")
    ),
    migrations.AddField(
        "job",
        "claimed_by",
        unchecked(
            "bots.bot", blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="held_jobs"
        ),
    ),
    migrations.AddField(
        "job",
        "finished_by",
        unchecked("bots.bot", blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+"),
    ),
    migrations.AddConstraint(
        "job", models.CheckConstraint(condition=models.Q(("status__in", STATUSES)), name="job_status_valid")
    ),
    migrations.AddConstraint(
        "job",
        models.CheckConstraint(
            condition=models.Q(
                models.Q(
                    ("attempt__gte", 1),
                    ("claimed_at__isnull", False),
                    ("claimed_by__isnull", False),
                    ("deadline_at__isnull", False),
                    ("status__in", HELD),
                ),
                models.Q(
                    models.Q(("status__in", HELD), _negated=True),
                    ("claimed_by__isnull", True),
                    ("deadline_at__isnull", True),
                ),
                _connector="OR",
            ),
            name="job_held_has_lease",
        ),
    ),
    migrations.AddConstraint(
        "job",
        models.CheckConstraint(
            condition=models.Q(
                models.Q(("finished_at__isnull", False), ("status__in", FINISHED)),
                models.Q(models.Q(("status__in", FINISHED), _negated=True), ("finished_at__isnull", True)),
                _connector="OR",
            ),
            name="job_finished_has_end",
        ),
    ),
    migrations.AddConstraint(
        "job",
        models.CheckConstraint(
            condition=models.Q(
                ("progress", None), models.Q(("progress__gte", 0), ("progress__lte", 100)), _connector="OR"
            ),
            name="job_progress_range",
        ),
    ),
    migrations.AddConstraint(
        "job",
        models.CheckConstraint(
            condition=models.Q(("max_attempts__gte", 1), ("max_attempts__lte", 1000)), name="job_max_attempts_range"
        ),
    ),
    migrations.AddConstraint(
        "job",
        models.UniqueConstraint(
            condition=models.Q(("key__isnull", False)), fields=("kind", "key"), name="job_key_once_per_kind"
        ),
    ),
    *(
        migrations.AddIndex("job", models.Index(name=name, fields=fields, condition=models.Q(condition)))
        for name, fields, condition in (
            ("job_pending", ["-priority", "run_at", "id"], ("status", "pending")),
            ("job_pending_by_kind", ["kind", "-priority", "run_at", "id"], ("status", "pending")),
            ("job_deadline", ["deadline_at"], ("status__in", HELD)),
            ("job_held_by", ["claimed_by"], ("claimed_by__isnull", False)),
            ("job_at_rest", ["status", "kind", "id"], ("status__in", ("pending", *FINISHED))),
            ("job_finished_of_kind", ["kind", "finished_at"], ("status__in", FINISHED)),
            ("job_finished_by", ["finished_by", "-id"], ("finished_by__isnull", False)),
        )
    ),
]

history = [
    migrations.CreateModel(
        name="JobEvent",
        fields=[
            automatic_id(),
            ("attempt", models.PositiveIntegerField()),
            ("verb", models.CharField(choices=named(VERBS), max_length=20)),
            ("from_status", models.CharField(choices=named(STATUSES), max_length=20, verbose_name="from")),
            ("to_status", models.CharField(choices=named(STATUSES), max_length=20, verbose_name="to")),
            ("actor", models.CharField(choices=named(["operator", "bot", "sweep"]), max_length=10)),
            ("by", text(200)),
            ("reason", models.TextField(blank=True, db_default="", default="")),
            ("at", moment()),
            ("detail", models.JSONField(blank=True, default=dict)),
            (
                "bot",
                models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.SET_NULL,
                    related_name="events",
                    to="bots.bot",
                ),
            ),
            (
                "job",
                models.ForeignKey(
                    db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="events", to="jobs.job"
                ),
            ),
        ],
        options={
            "verbose_name": "job event",
            "ordering": ["-id"],
            "indexes": [
                models.Index(fields=["job", "id"], name="jobevent_by_job"),
                models.Index(fields=["bot", "-at"], name="jobevent_by_bot"),
                models.Index(condition=models.Q(("actor", "operator")), fields=["-at"], name="jobevent_by_operator"),
                models.Index(
                    condition=models.Q(("verb__in", ("release", "expire", "fail", "cancel"))),
                    fields=["at"],
                    name="jobevent_ended_at",
                ),
            ],
            "constraints": [
                models.CheckConstraint(condition=models.Q(("verb__in", VERBS)), name="jobevent_verb_valid"),
                models.CheckConstraint(
                    condition=models.Q(("actor__in", ["operator", "bot", "sweep"])), name="jobevent_actor_valid"
                ),
                models.CheckConstraint(condition=models.Q(("from_status__in", STATUSES)), name="jobevent_from_valid"),
                models.CheckConstraint(condition=models.Q(("to_status__in", STATUSES)), name="jobevent_to_valid"),
                models.UniqueConstraint(
                    condition=models.Q(("verb", "late")), fields=("job", "attempt"), name="jobevent_late_once"
                ),
            ],
        },
    ),
]

figures = [
    migrations.CreateModel(
        name="Tally",
        fields=[
            automatic_id(),
            (
                "span",
                models.CharField(
                    choices=[("minute", "Minute"), ("quarter", "quarter of an hour"), ("hour", "Hour")], max_length=10
                ),
            ),
            ("start", models.DateTimeField()),
            ("kind", text(100)),
            ("succeeded", models.PositiveIntegerField(default=0)),
            ("failed", models.PositiveIntegerField(default=0)),
            ("cancelled", models.PositiveIntegerField(default=0)),
            ("waited", models.FloatField(default=0)),
            ("waits", models.PositiveIntegerField(default=0)),
            ("ran", models.FloatField(default=0)),
            (
                "runs",
                django.contrib.postgres.fields.ArrayField(
                    base_field=models.PositiveIntegerField(), default=list, size=None
                ),
            ),
        ],
        options={
            "verbose_name": "tally",
            "verbose_name_plural": "tallies",
            "constraints": [
                models.CheckConstraint(
                    condition=models.Q(("span__in", ["minute", "quarter", "hour"])), name="tally_span_valid"
                ),
                models.UniqueConstraint(fields=("span", "kind", "start"), name="tally_once"),
            ],
        },
    ),
    migrations.CreateModel(
        name="Learned",
        fields=[
            (
                "kind",
                models.OneToOneField(
                    on_delete=django.db.models.deletion.CASCADE,
                    primary_key=True,
                    related_name="learned",
                    serialize=False,
                    to="jobs.jobkind",
                ),
            ),
            ("before", django.contrib.postgres.fields.ArrayField(base_field=models.PositiveIntegerField(), size=None)),
            ("latest", django.contrib.postgres.fields.ArrayField(base_field=models.PositiveIntegerField(), size=None)),
            ("jobs", models.PositiveIntegerField()),
            ("quick", models.PositiveIntegerField()),
            ("under", models.DurationField()),
            ("updated_at", models.DateTimeField()),
        ],
        options={
            "verbose_name_plural": "learned",
            "constraints": [
                models.CheckConstraint(
                    condition=models.Q(("quick__lte", models.F("jobs"))), name="learned_quick_of_jobs"
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="LeaseTally",
        fields=[
            automatic_id(),
            ("span", models.CharField(choices=ENDS, max_length=10)),
            ("start", models.DateTimeField()),
            ("kind", text(100)),
            ("bot", models.BigIntegerField(db_default=0, default=0)),
            ("succeeded", number()),
            ("failed", number()),
            ("cancelled", number()),
            ("released", number()),
            ("handed_back", number()),
            ("expired", number()),
        ],
        options={
            "verbose_name": "tally of leases",
            "verbose_name_plural": "tallies of leases",
            "constraints": [
                models.CheckConstraint(
                    condition=models.Q(("span__in", [span for span, _ in ENDS])), name="leasetally_span_valid"
                ),
                models.UniqueConstraint(fields=("span", "start", "kind", "bot"), name="leasetally_once"),
            ],
        },
    ),
    migrations.CreateModel(
        name="SweepRun",
        fields=[
            ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
            ("started_at", models.DateTimeField()),
            ("finished_at", models.DateTimeField()),
            ("took", models.FloatField(help_text="Seconds.")),
            ("counts", models.JSONField(default=dict)),
        ],
        options={
            "verbose_name": "last sweep",
            "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="sweeprun_only_one")],
        },
    ),
    migrations.CreateModel(
        name="Metered",
        fields=[
            automatic_id(),
            ("name", models.CharField(choices=COUNTERS, max_length=10)),
            ("kind", text(100)),
            ("source", text(20)),
            ("n", models.BigIntegerField(db_default=0, default=0)),
            ("seconds", models.FloatField(db_default=0, default=0)),
            (
                "steps",
                django.contrib.postgres.fields.ArrayField(
                    base_field=models.BigIntegerField(), db_default=[], default=list, size=None
                ),
            ),
            (
                "at",
                models.DateTimeField(
                    db_default=django.db.models.functions.datetime.Now(), help_text="The moment this figure is of."
                ),
            ),
        ],
        options={
            "verbose_name": "counter",
            "constraints": [
                models.CheckConstraint(
                    condition=models.Q(("name__in", [name for name, _ in COUNTERS])), name="metered_name_valid"
                ),
                models.UniqueConstraint(fields=("name", "kind", "source"), name="metered_once"),
            ],
        },
    ),
]

# A table is vacuumed by default when a fifth of it has changed: with ten million finished rows that is two million dead
# entries in the indexes where every claim searches. A fixed number of rows keeps them clean, whatever the size of the
# table. Room left on each page lets a claim and its completion stay on the page of their job.
SETTINGS = {
    "jobs_job": {
        "autovacuum_vacuum_scale_factor": 0,
        "autovacuum_vacuum_threshold": 20000,
        "autovacuum_analyze_scale_factor": 0.02,
        "fillfactor": 70,
    },
    "bots_bot": {"autovacuum_vacuum_scale_factor": 0, "autovacuum_vacuum_threshold": 2000, "fillfactor": 50},
}

database = [
    migrations.RunSQL(
        FUNCTIONS,
        "DROP FUNCTION jobs_guard_kind CASCADE; DROP FUNCTION jobs_guard_bot CASCADE; DROP FUNCTION jobs_turns",
    ),
    *(
        migrations.RunSQL(
            f"ALTER TABLE {table} SET ({', '.join(f'{name} = {value}' for name, value in settings.items())})",
            f"ALTER TABLE {table} RESET ({', '.join(settings)})",
        )
        for table, settings in SETTINGS.items()
    ),
]


class Migration(migrations.Migration):
    dependencies = [
        # Not bots.0002: a database can go back to bots.0001 with its jobs in place.
        ("bots", "0001_initial"),
        ("jobs", "0001_initial"),
    ]

    replaces = [
        ("jobs", "0002_leases"),
        ("jobs", "0003_exchange"),
        ("jobs", "0004_rising_ids"),
        ("jobs", "0005_held_by_holder"),
        ("jobs", "0006_console"),
        ("jobs", "0007_console_indexes"),
        ("jobs", "0008_learned"),
        ("jobs", "0009_turns_together"),
        ("jobs", "0010_guards"),
        ("jobs", "0011_lease_tally"),
        ("jobs", "0012_ended_at"),
        ("jobs", "0013_sweep_run"),
        ("jobs", "0014_wait_within"),
        ("jobs", "0015_metered"),
        ("jobs", "0016_at_rest"),
        ("jobs", "0017_failures_in_a_turn"),
        ("jobs", "0018_finished_by_kind"),
    ]

    operations = [*kinds, *jobs, *history, *figures, *database]
