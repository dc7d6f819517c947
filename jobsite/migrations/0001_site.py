"""One row that knows which database the site is in. It is filled in at the first connection."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Site",
            fields=[
                ("id", models.PositiveSmallIntegerField(db_default=1, default=1, primary_key=True, serialize=False)),
                ("epoch", models.PositiveIntegerField(db_default=0, default=0)),
                ("began_at", models.DateTimeField(blank=True, null=True)),
                ("cluster", models.BigIntegerField(blank=True, null=True)),
                ("timeline", models.BigIntegerField(blank=True, null=True)),
                ("database", models.CharField(blank=True, db_default="", default="", max_length=50)),
                ("alerts_held_since", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="site_only_one"),
                    models.CheckConstraint(condition=models.Q(("epoch__lte", 2146)), name="site_epoch_range"),
                    models.CheckConstraint(
                        condition=models.Q(("epoch", 0), ("began_at__isnull", False), _connector="OR"),
                        name="site_epoch_began",
                    ),
                ],
            },
        ),
        migrations.RunSQL("INSERT INTO jobsite_site DEFAULT VALUES", migrations.RunSQL.noop),
    ]
