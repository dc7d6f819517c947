from django.db import migrations, models

CAUSES = {
    "stuck": "bots are stuck",
    "quarantined": "bots are in quarantine",
    "down": "bots are down",
    "kind_hangs": "jobs hang under several bots",
    "slots_lost": "bots have lost slots",
    "waiting": "jobs wait too long",
    "failing": "jobs fail more often than usual",
    "refused": "new jobs are refused",
    "schedule_missed": "moments of a schedule were missed",
    "unswept": "the sweep has not run",
}


class Migration(migrations.Migration):
    """Incidents may be about jobs of a kind that expire under one bot after the other."""

    dependencies = [("alerts", "0014_slots_lost")]

    operations = [
        migrations.RemoveConstraint("incident", "incident_cause_valid"),
        migrations.AlterField("incident", "cause", models.CharField(max_length=20, choices=list(CAUSES.items()))),
        migrations.AddConstraint(
            "incident",
            models.CheckConstraint(name="incident_cause_valid", condition=models.Q(cause__in=list(CAUSES))),
        ),
    ]
