"""The counters of `/metrics`: a new table, so nobody waits for it. They begin at nought at the next sweep."""

import django.contrib.postgres.fields
import django.db.models.functions.datetime
from django.db import migrations, models

NAMES = [
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


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0014_wait_within"),
    ]

    operations = [
        migrations.CreateModel(
            name="Metered",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(choices=NAMES, max_length=10)),
                ("kind", models.CharField(blank=True, db_default="", default="", max_length=100)),
                ("source", models.CharField(blank=True, db_default="", default="", max_length=20)),
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
                        condition=models.Q(("name__in", [name for name, _ in NAMES])), name="metered_name_valid"
                    ),
                    models.UniqueConstraint(fields=("name", "kind", "source"), name="metered_once"),
                ],
            },
        ),
    ]
