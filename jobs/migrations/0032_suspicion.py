"""A job that expired is for another instance first, and the turn probes instances in quarantine."""

from pathlib import Path

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models
from django.db.models import Q

SQL = Path(__file__).parent / "sql"
FUNCTIONS = (SQL / "0032_suspicion.sql").read_text(encoding="utf-8")
BEFORE = "".join(
    (SQL / name).read_text(encoding="utf-8") for name in ("0027_notify_after_commit.sql", "0031_instances.sql")
)


class Migration(migrations.Migration):
    dependencies = [("jobs", "0031_instances"), ("bots", "0017_probes")]

    operations = [
        migrations.AddField("job", "not_for", models.BigIntegerField(blank=True, editable=False, null=True)),
        migrations.AddField("job", "not_for_until", models.DateTimeField(blank=True, editable=False, null=True)),
        AddConstraintNotValid(
            "job",
            models.CheckConstraint(
                name="job_not_for_somebody", condition=Q(not_for_until=None) | Q(not_for__isnull=False)
            ),
        ),
        migrations.RunSQL(FUNCTIONS, BEFORE),
    ]
