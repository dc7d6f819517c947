from django.db import migrations, models

CAUSES = {
    "stuck": "bots are stuck",
    "quarantined": "bots are in quarantine",
    "down": "bots are down",
    "waiting": "jobs wait too long",
    "failing": "jobs fail more often than usual",
    "refused": "new jobs are refused",
    "schedule_missed": "moments of a schedule were missed",
    "unswept": "the sweep has not run",
}


class Migration(migrations.Migration):
    """Incidents may be about schedules that were missed."""

    dependencies = [("alerts", "0011_deliveries_without_lock")]

    operations = [
        migrations.RemoveConstraint("incident", "incident_cause_valid"),
        migrations.AlterField("incident", "cause", models.CharField(max_length=20, choices=list(CAUSES.items()))),
        migrations.AddConstraint(
            "incident",
            models.CheckConstraint(name="incident_cause_valid", condition=models.Q(cause__in=list(CAUSES))),
        ),
    ]
