from django.db import migrations, models

CAUSES = {
    "stuck": "bots are stuck",
    "quarantined": "bots are in quarantine",
    "down": "bots are down",
    "kind_hangs": "jobs hang under several bots",
    "slots_lost": "bots have lost slots",
    "waiting": "jobs wait too long",
    "failing": "jobs fail more often than usual",
    "error_new": "jobs fail with a new error",
    "error_back": "jobs fail with an error that was resolved",
    "refused": "new jobs are refused",
    "schedule_missed": "moments of a schedule were missed",
    "unswept": "the sweep has not run",
}


class Migration(migrations.Migration):
    """Incidents may be about errors of a kind that are new, or back after they were resolved."""

    dependencies = [("alerts", "0015_kind_hangs")]

    operations = [
        migrations.RemoveConstraint("incident", "incident_cause_valid"),
        migrations.AlterField("incident", "cause", models.CharField(max_length=20, choices=list(CAUSES.items()))),
        migrations.AddConstraint(
            "incident",
            models.CheckConstraint(name="incident_cause_valid", condition=models.Q(cause__in=list(CAUSES))),
        ),
    ]
