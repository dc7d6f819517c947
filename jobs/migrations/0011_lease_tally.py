"""How leases ended, by kind, bot and time, for the release patterns: a new table, so nobody waits for it.

It fills itself at the next sweep, back to the beginning, six hours of history in each transaction.
"""

from django.db import migrations, models

SPANS = [
    ("hour", "an hour, whoever held"),
    ("bot_hour", "an hour of one bot"),
    ("bot_day", "a day of one bot"),
    ("mark", "added up until then"),
]


def number():
    return models.PositiveIntegerField(db_default=0, default=0)


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0010_guards"),
    ]

    operations = [
        migrations.CreateModel(
            name="LeaseTally",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("span", models.CharField(choices=SPANS, max_length=10)),
                ("start", models.DateTimeField()),
                ("kind", models.CharField(blank=True, db_default="", default="", max_length=100)),
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
                        condition=models.Q(("span__in", ["hour", "bot_hour", "bot_day", "mark"])),
                        name="leasetally_span_valid",
                    ),
                    models.UniqueConstraint(fields=("span", "start", "kind", "bot"), name="leasetally_once"),
                ],
            },
        ),
    ]
