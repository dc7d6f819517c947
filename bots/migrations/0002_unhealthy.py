"""The third grade of health.

Code wrote `unhealthy` while the constraint allowed two values, so every release failed and jobs stayed stuck. The
constraint is dropped and added again with the values the code uses. It is added without looking at the rows
(`NOT VALID`), so its lock is as short as a catalogue change; `0003` looks at the rows under a lock that lets bots go
on working. Going back is refused by PostgreSQL while a bot is `unhealthy`; then the constraint, the index and the rows
are as they were, and `migrate` marks `0003` as applied again.
"""

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bots", "0001_initial"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="bot", name="bot_health_status_valid"),
        AddConstraintNotValid(
            model_name="bot",
            constraint=models.CheckConstraint(
                condition=models.Q(("health_status__in", ["normal", "potentially_stuck", "unhealthy"])),
                name="bot_health_status_valid",
            ),
        ),
        migrations.AddIndex(
            model_name="bot",
            index=models.Index(
                condition=models.Q(("stuck_job__isnull", False)), fields=["stuck_job"], name="bot_stuck_job"
            ),
        ),
    ]
